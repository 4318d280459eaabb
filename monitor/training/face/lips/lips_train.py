"""Fitting SyncLite on genuine talking video: what belongs together against what does not."""

import argparse
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from monitor.detectors.mouth import HZ, STEPS, moving, standardised, steady
from monitor.training.face.lips.lips_data import FOLDER, LipClip, Ready, load_clips
from monitor.training.face.lips.lips_linear import SyncLinear, fit_linear
from monitor.training.face.lips.lips_network import SyncLite, contrast
from monitor.types import SOUND_HZ
from monitor.types.sampling import Pace

_log = logging.getLogger(__name__)
FOLDS = 5
RUNS = FOLDER / "runs"
WAYS = ("linear", "shapes", "patches")
"""Canonical correlation; SyncLite on openings; SyncLite on openings and pictures."""
_LENGTH = 64
"""Steps of a training example: 2.56 s, as the shortest corpus has 3 s clips."""
_RATES = (10.0, 12.0, 15.0, 25.0, 30.0)
_SKEW = 0.06
"""Seconds by which sound may be early or late."""
_MIRROR = np.array([0, 2, 1, 3, 4, 5, 6])
_NEAR, _FAR = 2, 6
"""Steps that still, and that no longer, count as together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is fitted."""

    steps: int = 150
    batch: int = 12
    rate: float = 2e-3
    decay: float = 0.05
    patches: bool = True
    """Whether the mouth is looked at, or its openings alone are."""
    seed: int = 0


Example = tuple[Tensor, Tensor, Tensor]


def example(ready: Ready, rng: Generator, plan: Plan) -> Example:
    """One stretch as a call would show it: mouths, openings, sound."""
    clip = ready.clip
    fps, phase = float(rng.choice(_RATES)), rng.random() / 30
    pace = Pace(lambda _: fps)
    rows = np.array([i for i, time in enumerate(clip.times) if pace.due(time + phase)])
    rows = rows[rng.random(len(rows)) > rng.choice([0, 0.05, 0.15])]
    start = ready.begin + max(0.0, ready.seconds - _LENGTH / HZ) * rng.random()
    at = start + np.arange(_LENGTH) / HZ
    times, flip = clip.times[rows], rng.random() < 0.5
    shape = ready.openings[rows]
    shape = shape + rng.normal(0, rng.uniform(0, 0.015), shape.shape).astype(np.float32)
    shape = standardised(steady(times, shape[:, _MIRROR] if flip else shape, at))
    mouths = torch.zeros(_LENGTH, 1)
    if plan.patches:
        seen = steady(times, clip.mouths[rows].astype(np.float32), at)
        mouths = _filmed(moving(seen[:, :, ::-1] if flip else seen), rng)
    sound = ready.sounds[rng.integers(len(ready.sounds))]
    first = round((start - clip.begin + rng.uniform(-_SKEW, _SKEW)) * SOUND_HZ)
    frames = np.clip(first + np.arange(_LENGTH * STEPS), 0, len(sound) - 1)
    return mouths, torch.from_numpy(shape), torch.from_numpy(standardised(sound[frames]))


def _filmed(mouths: NDArray[np.float32], rng: Generator) -> Tensor:
    """Another place, size, sharpness, contrast and noise; the same for a whole stretch."""
    film = torch.from_numpy(np.ascontiguousarray(mouths))[:, None]
    steps, _, rows, columns = film.shape
    if rng.random() < 0.6:
        change = rng.uniform(-0.1, 0.1, (2, 3)) + np.eye(2, 3)
        grid = functional.affine_grid(
            torch.from_numpy(change.astype(np.float32))[None], [1, 1, rows, columns], False
        )
        film = functional.grid_sample(film, grid.expand(steps, -1, -1, -1), align_corners=False)
    if rng.random() < 0.5:
        small = functional.interpolate(
            film, scale_factor=float(rng.uniform(0.3, 0.9)), mode="bilinear", antialias=True
        )
        film = functional.interpolate(small, size=(rows, columns), mode="bilinear")
    noise = torch.from_numpy(rng.standard_normal(film.shape, np.float32))
    return (film * rng.uniform(0.7, 1.3) + noise * rng.uniform(0, 0.2))[:, 0]


def fit(clips: Sequence[Ready], plan: Plan) -> SyncLite:
    """Train a network; people are drawn by the square root of their seconds."""
    rng = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    network = SyncLite(patches=plan.patches)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    people: dict[str, list[Ready]] = {}
    for ready in clips:
        people.setdefault(ready.clip.group, []).append(ready)
    groups = sorted(people)
    odds = np.sqrt([sum(r.seconds for r in people[g]) for g in groups])
    mean = 0.0
    for step in range(plan.steps):
        warm, share = min(1.0, (step + 1) / 30), step / plan.steps
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * warm * (0.5 + 0.5 * math.cos(math.pi * share))
        # Nobody twice in a batch: one's own voice of another day is no clean mismatch.
        drawn = rng.choice(len(groups), min(plan.batch, len(groups)), False, odds / odds.sum())
        examples = [_drawn(people[groups[i]], rng, plan) for i in drawn]
        mouths, shape, sound = (torch.stack(part) for part in zip(*examples, strict=True))
        if plan.patches:
            # Either view must do without the other at times.
            fate = torch.from_numpy(rng.random(len(drawn)).astype(np.float32))
            mouths = mouths * (fate > 0.15)[:, None, None, None]
            shape = shape * (fate < 0.7)[:, None, None]
        lips, voice = network(mouths, shape, sound)
        loss = contrast(lips, voice, network.warmth, _NEAR, _FAR)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        mean += max(0.02, 1 / (step + 1)) * (loss.item() - mean)
        if (step + 1) % 50 == 0:
            _log.info("step %d loss %.3f", step + 1, mean)
    return network.eval()


def _drawn(clips: Sequence[Ready], rng: Generator, plan: Plan) -> Example:
    seconds = np.array([ready.seconds for ready in clips])
    return example(clips[rng.choice(len(clips), p=seconds / seconds.sum())], rng, plan)


def usable(clips: Sequence[LipClip]) -> list[LipClip]:
    """Genuine clips to train on: long enough, and never of a split that reports."""
    return [c for c in clips if not c.fake and c.split == "train" and len(c.times) > 50]


def folds(clips: Sequence[LipClip]) -> dict[str, int]:
    """Fold of each person; a corpus in which people repeat under several names stays together."""
    seconds: dict[str, float] = {}
    for clip in clips:
        seconds[_whole(clip.group)] = seconds.get(_whole(clip.group), 0) + len(clip.pcm) / 16_000
    full, where = [0.0] * FOLDS, {}
    for whole in sorted(seconds, key=lambda name: (-seconds[name], name)):
        where[whole] = int(np.argmin(full))
        full[where[whole]] += seconds[whole]
    return {clip.group: where[_whole(clip.group)] for clip in clips}


def _whole(group: str) -> str:
    return "grid" if group.startswith("grid") else group


def run(folder: Path, out: Path, steps: int) -> None:
    """Fit each way of comparing once for each fold without its people, and once on everybody."""
    torch.set_num_threads(1)
    clips = usable(load_clips(folder))
    where = folds(clips)
    ready = [Ready(clip, seed) for seed, clip in enumerate(clips)]
    _log.info("%d clips of %d people", len(clips), len(where))
    for way in WAYS:
        (out / way).mkdir(parents=True, exist_ok=True)
        for fold in (*range(FOLDS), FOLDS):
            known = [r for r in ready if where[r.clip.group] != fold]
            plan = Plan(steps=steps, patches=way == "patches")
            network = fit_linear(known) if way == "linear" else fit(known, plan)
            torch.save(network.state_dict(), out / way / f"{'all' if fold == FOLDS else fold}.pt")
            _log.info("%s, fold %d", way, fold)


def load(path: Path) -> SyncLite | SyncLinear:
    """A network written by `run`, in evaluation mode; its folder says which kind."""
    way = path.parent.name
    network = SyncLinear() if way == "linear" else SyncLite(patches=way == "patches")
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("lips-train", help="SyncLite in person-disjoint folds, and on all")
    parser.add_argument("--clips", type=Path, default=FOLDER / "clips")
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.set_defaults(run=lambda o: run(o.clips, o.out, o.steps))
