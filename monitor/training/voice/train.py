"""Fitting the voice network: resumable, with a fixed seed, on a few CPU threads."""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monitor.training.data.library import Library
from monitor.training.data.precision import autocast
from monitor.training.voice.average import MovingAverage
from monitor.training.voice.batches import BatchMaker, BatchPlan, stream
from monitor.training.voice.narrow import narrow
from monitor.training.voice.network import Headed, NetworkSize, VoiceNetwork, parameter_count
from monitor.training.voice.objective import ObjectiveWeights, mask_spectrum, objective
from monitor.training.voice.optimisers import SharpnessAware, make_optimiser
from monitor.training.voice.reload import reload_network

_log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.jsonl"
CALIBRATION_BATCHES = 4
"""Batches that the statistics of a reloaded file are taken from."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how fast."""

    steps: int = 6000
    minutes: float = math.inf
    """Stop the schedule early: it ends after this much training time, resumed runs added up."""
    rate: float = 1.5e-3
    optimiser: str = "adamw"
    """One of OPTIMISERS."""
    decay: float = 1e-2
    warm_up: float = 0.03
    """Share of the schedule."""
    seed: int = 1
    threads: int = 2
    workers: int = 1
    checkpoint_minutes: float = 2.0
    judge_minutes: float = 8.0


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    history: float = 0.0
    """Running mean of the loss."""


Judge = Callable[[nn.Module], dict[str, float]]
"""Measures a network on the development sources; "objective" is to be small."""


class Trainer:
    """One run, in one folder."""

    def __init__(
        self,
        library: Library,
        folder: Path,
        plan: TrainingPlan,
        batch: BatchPlan | None = None,
        weights: ObjectiveWeights | None = None,
        start: Path | None = None,
        network: Callable[[int], Headed] = VoiceNetwork,
    ) -> None:
        """`start` is an exported file to go on from; `network` takes the number of families."""
        torch.set_num_threads(plan.threads)
        torch.manual_seed(plan.seed)
        self._plan = plan
        self._batch = batch or BatchPlan()
        self._weights = weights or ObjectiveWeights()
        self._folder = folder
        self._families = library.families
        self._maker = BatchMaker(library, self._batch, plan.seed)
        self._network = network(len(self._families)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = MovingAverage(self._network)
        self._optimiser = make_optimiser(plan.optimiser, self._network, plan.rate, plan.decay)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._start = start
        self._generator = torch.Generator().manual_seed(plan.seed)
        self._progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def averaged(self) -> nn.Module:
        """The averaged network, in evaluation mode."""
        return self._average.network

    def run(self, judge: Judge | None = None) -> Progress:
        """Train from the last checkpoint, if there is one, to the end of the schedule."""
        if not self._resume() and self._start is not None:
            self._begin(self._start)
            if judge:
                # What training starts from is a candidate like every later checkpoint.
                self._judge(judge)
        _log.info("%d parameters, families %s", parameter_count(self._network), self._families)
        batches = stream(self._maker, self._progress.step, self._plan.workers)
        saved = judged = began = time.monotonic()
        before = self._progress.seconds
        self._network.train()
        try:
            while self._share() < 1:
                self._step(next(batches))
                now = time.monotonic()
                self._progress.seconds = before + now - began
                if now - saved > 60 * self._plan.checkpoint_minutes:
                    self._save(CHECKPOINT)
                    saved = now
                if judge and now - judged > 60 * self._plan.judge_minutes:
                    self._judge(judge)
                    judged = time.monotonic()
        finally:
            # Also after Ctrl-C: the next run goes on from here.
            self._save(CHECKPOINT)
        if judge:
            self._judge(judge)
        return self._progress

    def _share(self) -> float:
        """How much of the schedule is done, 0 to 1."""
        return max(
            self._progress.step / self._plan.steps,
            self._progress.seconds / (60 * self._plan.minutes),
        )

    def _step(self, batch: Any) -> None:
        share = self._share()
        warm = min(1.0, share / self._plan.warm_up + 1e-3) if self._plan.warm_up else 1.0
        factor = warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = factor * rate
        with torch.no_grad():
            spectrum = mask_spectrum(self._network.front(batch.waveform), self._generator)
            spectrum = spectrum.contiguous(memory_format=torch.channels_last)

        def loss_here() -> torch.Tensor:
            with autocast():
                heads = self._network.heads(spectrum)
            loss = objective(heads, batch, self._batch.pairs, self._weights)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
            return loss.detach()

        loss = loss_here()
        if isinstance(self._optimiser, SharpnessAware):
            self._optimiser.climb()
            loss_here()
        self._optimiser.step()
        progress = self._progress
        progress.step += 1
        self._average.update(self._network, progress.step)
        weight = max(0.01, 1 / progress.step)
        progress.history += weight * (loss.item() - progress.history)
        if progress.step % 50 == 0:
            _log.info("step %d loss %.4f rate x%.2f", progress.step, progress.history, factor)

    def _judge(self, judge: Judge) -> None:
        found = judge(self.averaged)
        _log.info("step %d %s", self._progress.step, found)
        line = {**asdict(self._progress), **found}
        with (self._folder / HISTORY).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if found["objective"] < self._progress.best:
            self._progress.best = found["objective"]
            self._save(BEST)

    def _save(self, name: str) -> None:
        state = {
            "network": self._network.state_dict(),
            "average": self._average.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
            "progress": asdict(self._progress),
            "families": self._families,
        }
        partial = self._folder / f"{name}.part"
        torch.save(state, partial)
        partial.rename(self._folder / name)

    def _begin(self, start: Path) -> None:
        """Take the weights of an exported file, which may be wider inside its blocks."""
        speech = [self._maker.batch(number).waveform for number in range(CALIBRATION_BATCHES)]
        wide = reload_network(start, len(self._families), speech).eval()
        errors = narrow(wide, self._network, speech)
        self._average = MovingAverage(self._network)
        _log.info("started from %s, blocks narrowed with errors %s", start, errors)

    def _resume(self) -> bool:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        self._network.load_state_dict(state["network"])
        self._average.network.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"])
        self._progress = Progress(**state["progress"])
        _log.info("resumed at step %d", self._progress.step)
        return True


def load_network(path: Path) -> VoiceNetwork:
    """The averaged network of a checkpoint, as wide as it is there, in evaluation mode."""
    state = torch.load(path, weights_only=True)
    weights = state["average"]
    first, second, third = (len(weights[f"body.{block}.first.weight"]) for block in range(3))
    network = VoiceNetwork(len(state["families"]), NetworkSize(inner=(first, second, third)))
    network.load_state_dict(weights)
    return network.eval()
