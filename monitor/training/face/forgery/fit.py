"""Fitting the forgery network: resumable, one CPU thread, pairs from a process beside it."""

import json
import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from monitor.inference.onnx import Session
from monitor.training.face.forgery.export import write
from monitor.training.face.forgery.network import (
    BOTTOM,
    LAYOUTS,
    LEFT,
    RIGHT,
    SIDE,
    TOP,
    ForgeryNetwork,
)
from monitor.training.face.forgery.pairs import PairMaker, Reservoir, stream
from monitor.training.voice.average import MovingAverage

_log = logging.getLogger(__name__)
CHECKPOINT, BEST, HISTORY = "checkpoint.pt", "best.pt", "history.jsonl"
EARLY = 4
"""First blocks that keep their weights, or nearly so: down to a quarter of the resolution."""
Judge = Callable[[ForgeryNetwork], dict[str, float]]
"""Measures a network; "objective" is to be small."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How long and how fast."""

    minutes: float = 45.0
    """The schedule ends after this much training time, resumed runs added up,"""
    steps: int = 1_000_000
    """or after so many steps."""
    pairs: int = 12
    """In one batch; both members of a pair are always in the same one."""
    rate: float = 3e-4
    """Of the blocks."""
    early: float = 0.3
    """Share of it for the first blocks where they are not frozen: they see borders already."""
    head_rate: float = 1.5e-3
    decay: float = 0.02
    warm_up: float = 0.03
    """Share of the schedule."""
    frozen: int = EARLY
    """First blocks that keep their ImageNet weights; 0 for a network that starts from nothing."""
    border: float = 0.5
    """Weight of the heat-map's cross-entropy."""
    reservoir: int = 3000
    """Latest pairs that batches are drawn from: forging is slower than learning."""
    seed: int = 1
    threads: int = 1
    checkpoint_minutes: float = 2.0
    judge_minutes: float = 5.0


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    made: int = 0
    """Pairs forged."""
    best: float = math.inf
    history: float = 0.0
    """Running mean of the loss."""


class Trainer:
    """One run, in one folder."""

    def __init__(
        self, network: ForgeryNetwork, maker: PairMaker, folder: Path, plan: FitPlan
    ) -> None:
        torch.set_num_threads(plan.threads)
        torch.manual_seed(plan.seed)
        self._network: ForgeryNetwork = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._maker, self._folder, self._plan = maker, folder, plan
        self._average = MovingAverage(network, 0.995)
        learning = network.blocks[plan.frozen :]
        heads = [*network.border.parameters(), *network.decision.parameters()]
        self._first = _frozen_session(network, plan.frozen) if plan.frozen else None
        self._learning = learning
        self._parameters = [*learning.parameters(), *heads]
        groups = [
            (network.blocks[plan.frozen : EARLY], plan.early * plan.rate),
            (network.blocks[max(plan.frozen, EARLY) :], plan.rate),
        ]
        self._optimiser = torch.optim.AdamW(
            [
                *({"params": list(some.parameters()), "peak": peak} for some, peak in groups),
                {"params": heads, "peak": plan.head_rate},
            ],
            lr=plan.rate,
            weight_decay=plan.decay,
        )
        self._progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def averaged(self) -> ForgeryNetwork:
        """The averaged network, in evaluation mode."""
        network: ForgeryNetwork = self._average.network  # type: ignore[assignment]
        return network

    def run(self, judge: Judge | None = None) -> Progress:
        """Train from the last checkpoint, if there is one, to the end of the schedule."""
        self._resume()
        progress = self._progress
        if self._share() >= 1:
            return progress
        rng = np.random.default_rng((self._plan.seed, progress.step))
        pairs = stream(self._maker, progress.made)
        with Reservoir(pairs, self._plan.reservoir, progress.made) as reservoir:
            self._learn(reservoir, rng, judge)
        if judge:
            self._judge(judge)
        return progress

    def _learn(self, reservoir: Reservoir, rng: np.random.Generator, judge: Judge | None) -> None:
        progress = self._progress
        self._network.train()
        faces, border, recipes = reservoir.draw(self._plan.pairs, rng)
        saved = judged = last = time.monotonic()
        try:
            while self._share() < 1:
                self._step(faces, border, recipes)
                faces, border, recipes = reservoir.draw(self._plan.pairs, rng)
                now = time.monotonic()
                progress.seconds += now - last
                progress.made = reservoir.made
                last = now
                if now - saved > 60 * self._plan.checkpoint_minutes:
                    self._save(CHECKPOINT)
                    saved = now
                if judge and now - judged > 60 * self._plan.judge_minutes:
                    self._judge(judge)
                    last = judged = time.monotonic()
        finally:
            # Also after Ctrl-C: the next run goes on from here.
            self._save(CHECKPOINT)

    def _share(self) -> float:
        return max(
            self._progress.seconds / (60 * self._plan.minutes),
            self._progress.step / self._plan.steps,
        )

    def _step(
        self,
        faces: NDArray[np.uint8],
        border: NDArray[np.float32],
        recipes: NDArray[np.intp],
    ) -> None:
        share = self._share()
        warm = min(1.0, share / self._plan.warm_up + 1e-2) if self._plan.warm_up else 1.0
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))
        count = len(faces)
        both = faces.reshape(2 * count, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
        batch = np.asarray(both, np.float32) / np.float32(255)
        logit, seen = self._network.heads(self._learning(self._start(batch)))
        fake = torch.arange(2 * count) % 2
        losses = functional.binary_cross_entropy_with_logits(logit, fake.float(), reduction="none")
        loss = losses.mean() + self._plan.border * border_loss(seen, torch.from_numpy(border))
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, 2.0)
        self._optimiser.step()
        progress = self._progress
        progress.step += 1
        self._average.update(self._network, progress.step)
        for recipe, value in zip(recipes, losses.detach()[1::2].tolist(), strict=True):
            self._maker.recipes.learnt(int(recipe), value)
        progress.history += max(0.01, 1 / progress.step) * (loss.item() - progress.history)
        if progress.step % 50 == 0:
            _log.info(
                "step %d (%.0f s, %d pairs made) loss %.4f",
                progress.step,
                progress.seconds,
                progress.made,
                progress.history,
            )

    def _start(self, batch: NDArray[np.float32]) -> Tensor:
        """The pictures, or what the frozen blocks make of them."""
        if self._first is None:
            return self._network.seen(torch.from_numpy(batch))
        values: Tensor = torch.from_numpy(self._first.run({"face": batch})[0])
        values = values.contiguous(memory_format=torch.channels_last)
        return values

    def _judge(self, judge: Judge) -> None:
        found = judge(self.averaged)
        line = {**asdict(self._progress), **found}
        _log.info("step %d %s", self._progress.step, found)
        with (self._folder / HISTORY).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if found["objective"] < self._progress.best:
            self._progress.best = found["objective"]
            self._save(BEST)

    def _save(self, name: str) -> None:
        state = {
            "layout": self._network.layout.name,
            "network": self._network.state_dict(),
            "average": self._average.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "progress": asdict(self._progress),
        }
        partial = self._folder / f"{name}.part"
        torch.save(state, partial)
        partial.rename(self._folder / name)

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self._network.load_state_dict(state["network"])
        self._average.network.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._progress = Progress(**state["progress"])
        _log.info("resumed at step %d", self._progress.step)


def border_loss(seen: Tensor, border: Tensor) -> Tensor:
    """Cross-entropy of border logits (2 x pairs, rows, columns) against the pairs' borders.

    `border` (pairs, 14, 14) holds for the forged members; the real ones have none. A forgery
    with NaN (all replaced) does not count.
    """
    target = torch.zeros_like(seen)
    target[1::2] = border[:, TOP:BOTTOM, LEFT:RIGHT]
    known = ~target.isnan()
    losses = functional.binary_cross_entropy_with_logits(
        seen, target.nan_to_num(), reduction="none"
    )
    return losses[known].mean()


def load_network(path: Path) -> ForgeryNetwork:
    """The averaged network of a checkpoint, in evaluation mode."""
    state = torch.load(path, weights_only=True)
    network = ForgeryNetwork(LAYOUTS[state["layout"]])
    network.load_state_dict(state["average"])
    return network.eval()


class _First(nn.Module):
    """The blocks that do not learn."""

    def __init__(self, network: ForgeryNetwork, count: int) -> None:
        super().__init__()
        self.blocks = network.blocks[:count]

    def forward(self, faces: Tensor) -> Tensor:
        values: Tensor = self.blocks(ForgeryNetwork.seen(faces))
        return values


def _frozen_session(network: ForgeryNetwork, count: int) -> Session:
    """The first blocks in ONNX Runtime: several times faster here than in torch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.onnx"
        write(_First(network, count), path, ("values",))
        return Session(path)
