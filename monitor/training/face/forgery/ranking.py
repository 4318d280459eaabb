"""Areas under curves of files, with intervals that draw people, not pictures."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.training.measure.metrics import area_under_curve

Statistic = Callable[["Judged"], float]
"""A figure of some judged files; NaN where it cannot be computed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One row per file, window or crop that has a score."""

    score: NDArray[np.float64]
    """Higher = more likely forged."""
    rival: NDArray[np.float64]
    """Another scorer's on the same crops; zeros if there is none."""
    fake: NDArray[np.bool_]
    group: NDArray[np.str_]
    """One person where that is known."""
    source: NDArray[np.str_]
    """The page or collection."""
    family: NDArray[np.str_]
    method: NDArray[np.str_]
    video: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.score)

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Judged":
        """Some of the rows."""
        return Judged(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def auc(judged: Judged) -> float:
    """Probability that a forged one scores above a genuine one; NaN if a label is missing."""
    return _area(judged.score, judged.fake)


def auc_difference(judged: Judged) -> float:
    """Ours less the rival's."""
    return auc(judged) - _area(judged.rival, judged.fake)


def macro_auc(judged: Judged) -> float:
    """Mean over the sources that have both labels of their own areas.

    Cameras and codecs of different sources are not compared with each other.
    """
    return _macro(judged, judged.score)


def macro_difference(judged: Judged) -> float:
    """Ours less the rival's."""
    return macro_auc(judged) - _macro(judged, judged.rival)


def measured(
    judged: Judged, statistic: Statistic, nested: bool = False, rounds: int = 1000
) -> dict[str, Any]:
    """The figure with its 95 % interval and counts.

    Groups are drawn anew with all their files, as those of one person resemble each other;
    `nested` draws sources first, then the groups of each.
    """
    rng = np.random.default_rng(0)
    keys = np.char.add(np.char.add(judged.source, "|"), judged.group)
    sources = {
        str(name): [np.flatnonzero(keys == key) for key in np.unique(keys[judged.source == name])]
        for name in np.unique(judged.source)
    }
    groups = [rows for found in sources.values() for rows in found]
    values = []
    for _ in range(rounds):
        if nested:
            values.append(statistic(_drawn_sources(judged, sources, rng)))
        else:
            some = [groups[i] for i in rng.integers(0, len(groups), len(groups))]
            values.append(statistic(judged.chosen(np.concatenate(some))))
    finite = np.array([v for v in values if np.isfinite(v)])
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
    return {
        "value": _rounded(statistic(judged)),
        "interval": [_rounded(low), _rounded(high)],
        "real": int((~judged.fake).sum()),
        "fake": int(judged.fake.sum()),
        "groups": len(groups),
        "sources": len(sources),
    }


def with_both(judged: Judged, least: int = 1) -> Judged:
    """Only rows of sources that have at least `least` of either label."""
    keep = [
        name
        for name in np.unique(judged.source)
        if (judged.fake & (judged.source == name)).sum() >= least
        and (~judged.fake & (judged.source == name)).sum() >= least
    ]
    return judged.chosen(np.isin(judged.source, keep))


def _drawn_sources(
    judged: Judged, sources: dict[str, list[NDArray[np.intp]]], rng: np.random.Generator
) -> Judged:
    """Sources drawn with replacement, each time with a name of its own, then their groups."""
    names = list(sources)
    rows, labels = [], []
    for turn, i in enumerate(rng.integers(0, len(names), len(names))):
        groups = sources[names[i]]
        some = np.concatenate([groups[j] for j in rng.integers(0, len(groups), len(groups))])
        rows.append(some)
        labels += [f"{turn}"] * len(some)
    drawn = judged.chosen(np.concatenate(rows))
    renamed = {f.name: getattr(drawn, f.name) for f in fields(drawn)}
    return Judged(**(renamed | {"source": np.array(labels)}))


def _macro(judged: Judged, score: NDArray[np.float64]) -> float:
    areas = []
    for name in np.unique(judged.source):
        rows = judged.source == name
        area = _area(score[rows], judged.fake[rows])
        if np.isfinite(area):
            areas.append(area)
    return float(np.mean(areas)) if areas else float("nan")


def _area(score: NDArray[np.float64], fake: NDArray[np.bool_]) -> float:
    if fake.all() or not fake.any():
        return float("nan")
    return area_under_curve(score[~fake], score[fake])


def _rounded(value: float) -> float:
    return round(float(value), 4)
