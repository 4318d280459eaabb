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

from monitor.training.average import MovingAverage
from monitor.training.batches import BatchMaker, BatchPlan, stream
from monitor.training.library import Library
from monitor.training.network import VoiceNetwork, parameter_count
from monitor.training.objective import ObjectiveWeights, mask_spectrum, objective
from monitor.training.precision import autocast

_log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how fast."""

    steps: int = 6000
    minutes: float = math.inf
    """Stop the schedule early: it ends after this much training time, resumed runs added up."""
    rate: float = 1.5e-3
    decay: float = 1e-2
    warm_up: float = 0.03
    """Share of the schedule."""
    seed: int = 1
    threads: int = 2
    workers: int = 1
    checkpoint_minutes: float = 2.0
    judge_minutes: float = 5.0


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    history: float = 0.0
    """Running mean of the loss."""


Judge = Callable[[VoiceNetwork], dict[str, float]]
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
    ) -> None:
        torch.set_num_threads(plan.threads)
        torch.manual_seed(plan.seed)
        self._plan = plan
        self._batch = batch or BatchPlan()
        self._weights = weights or ObjectiveWeights()
        self._folder = folder
        self._families = library.families
        self._maker = BatchMaker(library, self._batch, plan.seed)
        self._network = VoiceNetwork(len(self._families)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = MovingAverage(self._network)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=plan.rate, weight_decay=plan.decay
        )
        self._generator = torch.Generator().manual_seed(plan.seed)
        self._progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def averaged(self) -> VoiceNetwork:
        """The averaged network, in evaluation mode."""
        network: VoiceNetwork = self._average.network  # type: ignore[assignment]
        return network

    def run(self, judge: Judge | None = None) -> Progress:
        """Train from the last checkpoint, if there is one, to the end of the schedule."""
        self._resume()
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
        rate = self._plan.rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            spectrum = mask_spectrum(self._network.front(batch.waveform), self._generator)
            spectrum = spectrum.contiguous(memory_format=torch.channels_last)
        with autocast():
            logit, family = self._network.heads(spectrum)
        loss = objective(
            logit.float(),
            family.float(),
            batch.fake,
            batch.family,
            self._batch.pairs,
            self._weights,
        )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimiser.step()
        progress = self._progress
        progress.step += 1
        self._average.update(self._network, progress.step)
        weight = max(0.01, 1 / progress.step)
        progress.history += weight * (loss.item() - progress.history)
        if progress.step % 50 == 0:
            _log.info("step %d loss %.4f rate %.2e", progress.step, progress.history, rate)

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

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self._network.load_state_dict(state["network"])
        self._average.network.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"])
        self._progress = Progress(**state["progress"])
        _log.info("resumed at step %d", self._progress.step)


def load_network(path: Path) -> VoiceNetwork:
    """The averaged network of a checkpoint, in evaluation mode."""
    state = torch.load(path, weights_only=True)
    network = VoiceNetwork(len(state["families"]))
    network.load_state_dict(state["average"])
    return network.eval()
