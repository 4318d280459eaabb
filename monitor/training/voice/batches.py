"""Training batches: groups of human and synthetic windows that share one channel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from monitor.training.channels.channel import ChannelOdds, draw_channel, transmit
from monitor.training.data.blends import at_level_of, blend_bands, splice
from monitor.training.data.library import Library, Recording, crop_start, cut, draw
from monitor.training.data.store import from_pcm
from monitor.types import SAMPLE_RATE, Waveform

STRETCH = 640
"""Samples that one value of `Batch.synthetic` stands for."""
COPY_WEIGHTS = {
    "copy:hifi-gan": 2.5,
    "copy:istft-gan": 1.5,
    "copy:codec-gan": 1.5,
    "copy:phase-noise": 0.7,
    "copy:lpc": 0.5,
}
"""How often a method of resynthesis is drawn, against 1: what present-day synthesisers end with
more often, what nobody would attack with less often."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The make-up of a batch."""

    groups: int = 16
    pairs: int = 2
    """Human windows, and as many synthetic ones, in each group."""
    seconds: tuple[float, float] = (1.0, 3.2)
    from_source: float = 0.5
    """Share of groups with both labels from one source."""
    from_copies: float = 0.32
    """Share of groups of human windows and their own resyntheses; the rest are synthetic
    windows of engines without human recordings, against any humans."""
    bands: float = 0.15
    """Share of resyntheses that are so in some frequencies only."""
    splices: float = 0.15
    """Share of resyntheses that are so for part of the time only."""
    odds: ChannelOdds = ChannelOdds()
    paired: bool = True
    """Whether a group's windows share origin and channel. Only to show what that is worth."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows in group order: per group first the human, then the synthetic ones."""

    waveform: Tensor
    """(groups x 2 pairs, samples)"""
    fake: Tensor
    """0 or 1, (groups x 2 pairs,)"""
    family: Tensor
    """Index into the library's families."""
    synthetic: Tensor
    """Share of synthesis every 40 ms, (groups x 2 pairs, samples / STRETCH)"""


class BatchMaker:
    """Draws batch number i of a seed: the same whenever and wherever it is drawn."""

    def __init__(self, library: Library, plan: BatchPlan, seed: int) -> None:
        self._library = library
        self._plan = plan
        self._seed = seed
        self._families = {name: i for i, name in enumerate(library.families)}
        self._paired = library.paired()
        weight = np.array([library.origins[name].weight for name in self._paired])
        self._paired_weight = weight / weight.sum() if len(weight) else weight
        self._lone = library.lone_fakes()
        self._humans = library.humans()
        spread = np.array([np.sqrt(len(tree)) for tree in self._humans.values()])
        self._human_weight = spread / spread.sum()

    def batch(self, number: int) -> Batch:
        """Batch `number`."""
        rng = np.random.default_rng([self._seed, number])
        low, high = self._plan.seconds
        # Tenths of a second: transforms of lengths with large prime factors are slow.
        samples = round(10 * rng.uniform(low, high)) * SAMPLE_RATE // 10
        windows, shares, families = [], [], []
        for _ in range(self._plan.groups):
            human, fake, aligned = self._recordings(rng)
            if not self._plan.paired:
                _, fake, _ = self._recordings(rng)
                aligned = False
            sent, share = self._group(human, fake, aligned, samples, rng)
            windows.append(sent)
            shares.append(share)
            families += [self._families[recording.family] for recording in human + fake]
        half = [0.0] * self._plan.pairs + [1.0] * self._plan.pairs
        return Batch(
            torch.from_numpy(np.concatenate(windows)),
            torch.tensor(half * self._plan.groups),
            torch.tensor(families),
            torch.from_numpy(np.concatenate(shares)),
        )

    def _recordings(self, rng: Generator) -> tuple[list[Recording], list[Recording], bool]:
        """Human and synthetic recordings of a group, and whether they are aligned pairs."""
        plan, library = self._plan, self._library
        kind = rng.random()
        times = range(plan.pairs)
        if kind < plan.from_source and self._paired:
            name = self._paired[rng.choice(len(self._paired), p=self._paired_weight)]
            origin = library.origins[name]
            human = [draw(origin.human, rng) for _ in times]
            return human, [draw(origin.fake, rng) for _ in times], False
        if (kind < plan.from_source + plan.from_copies or not self._lone) and library.copies:
            chosen = [self._pair(rng) for _ in times]
            return [human for human, _ in chosen], [copy for _, copy in chosen], True
        return [self._any_human(rng) for _ in times], [draw(self._lone, rng) for _ in times], False

    def _pair(self, rng: Generator) -> tuple[Recording, Recording]:
        methods = list(self._library.copies)
        weight = np.array([COPY_WEIGHTS.get(method, 1.0) for method in methods])
        pairs = self._library.copies[methods[rng.choice(len(methods), p=weight / weight.sum())]]
        return pairs[rng.integers(len(pairs))]

    def _any_human(self, rng: Generator) -> Recording:
        names = list(self._humans)
        return draw(self._humans[names[rng.choice(len(names), p=self._human_weight)]], rng)

    def _group(
        self,
        human: list[Recording],
        fake: list[Recording],
        aligned: bool,
        samples: int,
        rng: Generator,
    ) -> tuple[Waveform, Waveform]:
        """Windows (2 pairs, samples) after their channel, and where they are synthetic."""
        audio: list[Waveform] = []
        share = np.zeros((2 * len(human), samples // STRETCH), np.float32)
        share[len(human) :] = 1
        starts: list[int] = []
        for i, recording in enumerate(human + fake):
            pcm = recording.pcm()
            if aligned:
                # Both sides of a pair are cut alike; a copy may be shorter than its original.
                other = (human + fake)[(i + len(human)) % (2 * len(human))]
                pcm = pcm[: len(other.pcm())]
            start = (
                starts[i - len(human)]
                if aligned and i >= len(human)
                else crop_start(recording.active, len(pcm), samples, rng)
            )
            starts.append(start)
            audio.append(from_pcm(cut(pcm, start, samples)))
            if aligned and i >= len(human):
                audio[i] = self._blend(audio[i - len(human)], audio[i], share[i], rng)
        sent = np.stack(audio)
        if self._plan.paired:
            return transmit(sent, draw_channel(rng, self._plan.odds)), share
        return np.concatenate(
            [transmit(one[None], draw_channel(rng, self._plan.odds)) for one in sent]
        ), share

    def _blend(self, human: Waveform, copy: Waveform, share: Waveform, rng: Generator) -> Waveform:
        """The copy or a half-fake; `share` (samples / STRETCH) is set to what is the copy's."""
        drawn = rng.random()
        if drawn < self._plan.bands:
            return blend_bands(human, at_level_of(copy, human), rng)
        if drawn < self._plan.bands + self._plan.splices:
            mixed, part = splice(human, at_level_of(copy, human), rng)
            share[:] = part[: len(share) * STRETCH].reshape(-1, STRETCH).mean(1)
            return mixed
        return copy


class _Stream(IterableDataset[Batch]):
    def __init__(self, maker: BatchMaker, first: int) -> None:
        self._maker = maker
        self._first = first

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        number, step = (self._first, 1)
        if info is not None:
            number, step = self._first + info.id, info.num_workers
        while True:
            yield self._maker.batch(number)
            number += step


def stream(maker: BatchMaker, first: int, workers: int) -> Iterator[Batch]:
    """Endless batches from number `first` on, made in `workers` processes (0: in this one)."""
    loader = DataLoader(_Stream(maker, first), batch_size=None, num_workers=workers)
    yield from loader
