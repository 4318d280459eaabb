"""What lips and voice tell out of fold: own sound against shifted and exchanged sound."""

import argparse
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.detectors.lipsync import LipSync, separation
from monitor.detectors.mouth import HZ, STEPS, Burst, agreement, burst, followable, standardised
from monitor.training.face.lips.lips_data import FOLDER, LipClip, load_clips
from monitor.training.face.lips.lips_linear import SyncLinear
from monitor.training.face.lips.lips_network import SyncLite
from monitor.training.face.lips.lips_train import FOLDS, RUNS, WAYS, folds, load, usable
from monitor.training.measure.logistic import fit_logistic
from monitor.training.measure.metrics import area_under_curve
from monitor.types import CueWindow, Span

_log = logging.getLogger(__name__)
CASES = ((2.0, 25.0), (4.0, 25.0), (8.0, 25.0), (4.0, 15.0), (4.0, 10.0), (8.0, 15.0), (8.0, 10.0))
"""Seconds of lips, and pictures a second."""
SHRINK = 0.7
"""Share of a fitted slope that is kept: few people, and none of them in a call."""
_SHIFTS = 4
_LEAST = 0.9
"""Share of a case's seconds that a clip must have."""
Floats = NDArray[np.float32]
Curve = Callable[[Sequence[Burst], Floats], Floats]


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of one clip, by each way of measuring: (opening, network)."""

    group: str
    name: str
    seconds: float
    fps: float
    true: tuple[float, ...]
    exchanged: tuple[float, ...]
    shifted: tuple[tuple[float, ...], ...]
    lag: float
    """Seconds, by the network."""
    chance: float
    """Share of the null at least as high, by the network."""


def by_network(network: SyncLite | SyncLinear) -> Curve:
    """The curve of a network that is not exported yet."""

    def curve(lips: Sequence[Burst], sound: Floats) -> Floats:
        heard = torch.from_numpy(standardised(sound[: len(sound) // STEPS * STEPS]))[None]
        found = []
        with torch.no_grad():
            voice = network.voice(heard)[0].numpy()
            for part in lips:
                mouths, shape = torch.from_numpy(part.mouths), torch.from_numpy(part.openings)
                seen = network.lips(mouths[None], shape[None])[0].numpy()
                found.append(agreement(seen, voice, part.first))
        weights = [len(part.openings) for part in lips]
        return np.average(found, axis=0, weights=weights).astype(np.float32)

    return curve


def whole(clip: LipClip, fps: float) -> CueWindow:
    """All of a clip in which there is both sound and a face."""
    begin = max(float(clip.times[0]), clip.begin)
    end = min(float(clip.times[-1]), clip.begin + len(clip.pcm) / 16_000)
    return clip.window(Span(begin, end), fps)


def stretches(window: CueWindow, seconds: float) -> Iterator[list[Burst]]:
    """Lips of about `seconds` each, side by side; the sound around them is the null."""
    for rows in followable(window.times):
        times = window.times[rows]
        length = float(times[-1] - times[0])
        count = max(1, int((length + 0.25) // seconds)) if length >= _LEAST * seconds else 0
        for part in np.array_split(np.arange(rows.start, rows.stop), count) if count else []:
            yield [burst(window, slice(int(part[0]), int(part[-1]) + 1))]


def measured(
    clips: Sequence[LipClip], curves: Sequence[Curve], case: tuple[float, float], seed: int = 0
) -> Iterator[Row]:
    """Rows of clips whose people are strangers to the curves' networks."""
    rng = np.random.default_rng(seed)
    windows = [whole(clip, case[1]) for clip in clips]
    for clip, window in zip(clips, windows, strict=True):
        strangers = [w.sound for c, w in zip(clips, windows, strict=True) if c.group != clip.group]
        for lips in stretches(window, case[0]):
            other = strangers[rng.integers(len(strangers))]
            first = rng.integers(len(other))
            exchanged = np.resize(np.roll(other, -first, axis=0), window.sound.shape)
            own = [curve(lips, window.sound) for curve in curves]
            steps = len(own[0])
            shifts = rng.integers(round(HZ), max(round(HZ) + 1, steps - round(HZ)), _SHIFTS)
            found = [separation(c) for c in own]
            theirs = [separation(curve(lips, exchanged)) for curve in curves]
            moved = [[separation(np.roll(c, s)) for c in own] for s in shifts]
            if any(s is None for s in (*found, *theirs)):
                continue
            yield Row(
                group=clip.group,
                name=clip.name,
                seconds=case[0],
                fps=case[1],
                true=tuple(s.height for s in found if s),
                exchanged=tuple(s.height for s in theirs if s),
                shifted=tuple(tuple(s.height for s in m if s) for m in moved),
                lag=found[-1].lag if found[-1] else 0.0,
                chance=found[-1].chance if found[-1] else 1.0,
            )


def out_of_fold(
    clips: Sequence[LipClip], runs: Sequence[Path], case: tuple[float, float]
) -> list[Row]:
    """Rows of all clips, each by networks that never saw its people."""
    where = folds(clips)
    rows: list[Row] = []
    for fold in range(FOLDS):
        curves: list[Curve] = [LipSync().curve]
        curves += [by_network(load(path / f"{fold}.pt")) for path in runs]
        rows += measured([c for c in clips if where[c.group] == fold], curves, case, fold)
    return rows


def area(rows: Sequence[Row], way: int, kind: str) -> float:
    """Probability that own sound agrees better than other sound."""
    own = [row.true[way] for row in rows]
    other = [s[way] for row in rows for s in row.shifted]
    if kind == "exchanged":
        other = [row.exchanged[way] for row in rows]
    return area_under_curve(other, own)


def interval(
    rows: Sequence[Row], statistic: Callable[[Sequence[Row]], float], rounds: int = 500
) -> tuple[float, float]:
    """95 % interval; people are drawn anew."""
    rng = np.random.default_rng(0)
    people: dict[str, list[Row]] = {}
    for row in rows:
        people.setdefault(row.group, []).append(row)
    each = list(people.values())
    values = [
        statistic([row for i in rng.integers(len(each), size=len(each)) for row in each[i]])
        for _ in range(rounds)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def mixed(rows: Sequence[Row], clips: Sequence[LipClip]) -> list[Row]:
    """The rows with one more way: a logistic mix of the others, fitted on the other folds."""
    where, out = folds(clips), []
    for fold in range(FOLDS):
        known = [row for row in rows if where[row.group] != fold]
        x = np.array([row.true for row in known] + [row.exchanged for row in known])
        rule = fit_logistic(x, np.repeat([1.0, 0.0], len(known)))
        for row in (row for row in rows if where[row.group] == fold):
            values = np.array([row.true, row.exchanged, *row.shifted])
            logits = [(float(v),) for v in rule.scores(values)]
            out.append(
                replace(
                    row,
                    true=row.true + logits[0],
                    exchanged=row.exchanged + logits[1],
                    shifted=tuple(s + m for s, m in zip(row.shifted, logits[2:], strict=True)),
                )
            )
    return out


def scale(rows: Sequence[Row], way: int) -> tuple[float, float]:
    """Slope and offset of a cue's log-likelihood ratio, for the value `-height`; shrunk."""
    own = np.array([row.true[way] for row in rows])
    other = np.array([row.exchanged[way] for row in rows])
    values = -np.concatenate([own, other])[:, None]
    rule = fit_logistic(values, np.repeat([0.0, 1.0], len(rows)))
    slope = float(rule.weight[0] / rule.spread[0])
    offset = float(rule.weight[1] - slope * rule.mean[0])
    return SHRINK * slope, SHRINK * offset


def run(folder: Path, runs: Path, out: Path) -> None:
    """Print the table and write it with the rows."""
    torch.set_num_threads(1)
    clips = usable(load_clips(folder))
    ways = [runs / way for way in WAYS if (runs / way).is_dir()]
    names = ["opening", *(path.name for path in ways), "mix"]
    lines = []
    for case in CASES:
        rows = mixed(out_of_fold(clips, ways, case), clips)
        for way, name in enumerate(names):
            for kind in ("exchanged", "shifted"):
                value = area(rows, way, kind)
                low, high = interval(rows, lambda r, w=way, k=kind: area(r, w, k))  # type: ignore[misc]
                lines.append(
                    {
                        "seconds": case[0],
                        "fps": case[1],
                        "way": name,
                        "against": kind,
                        "auc": round(value, 3),
                        "interval": [round(low, 3), round(high, 3)],
                        "windows": len(rows),
                        "people": len({row.group for row in rows}),
                        "scale": [round(v, 4) for v in scale(rows, way)],
                    }
                )
                print(json.dumps(lines[-1]))
    out.write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("lips-evaluate", help="own sound against shifted and exchanged")
    parser.add_argument("--clips", type=Path, default=FOLDER / "clips")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--out", type=Path, default=FOLDER / "evaluation.jsonl")
    parser.set_defaults(run=lambda o: run(o.clips, o.runs, o.out))
