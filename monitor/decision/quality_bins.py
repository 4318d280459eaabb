"""Calibration that knows how well a window can be judged. Pure.

Windows fall into bins of quality; each bin has its own map from logit to LLR. A bin in which
the calibrated detector costs more than saying nothing (cross-validated Cllr of 1 bit or more)
is not measurable: its windows become abstentions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.decision.calibration import Calibration, cllr, fit
from monitor.decision.strata import NARROW_HZ
from monitor.types import LOOKS, Quality

MEASURES: Mapping[str, tuple[float, ...]] = {
    "bandwidth_hz": (NARROW_HZ,),
    "snr_db": (12.0,),
    "speech_seconds": (2.0,),
}
"""Where each measure is cut into bins."""
LOOKS_CUTS: Mapping[str, tuple[float, ...]] = {LOOKS: (2.0,)}
"""And for a detector that looks twice at some windows: a logit of both is another measure than the
first alone."""
_FEWEST_CALLS = 15
"""Calls of each class a bin needs for a map of its own; below it shares the pooled one."""
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class QualityBin:
    """One cell of quality and what the detector is worth in it."""

    cell: Mapping[str, int]
    """By measure, the number of its cuts that the window's value reaches."""
    calibration: Calibration
    cllr: float
    """Cross-validated cost in bits; 1 means saying nothing."""
    genuine_calls: int
    fake_calls: int

    @property
    def measurable(self) -> bool:
        """Whether scores here are better than silence."""
        return self.cllr < 1.0


@dataclass(frozen=True, slots=True)
class BinnedCalibration:
    """All bins of one detector."""

    cuts: Mapping[str, Sequence[float]]
    bins: tuple[QualityBin, ...]

    def llr(self, value: float, quality: Quality) -> float | None:
        """Return the LLR of a logit in this quality, or None where it is not measurable."""
        cell = cell_of(quality, self.cuts)
        for candidate in self.bins:
            if candidate.cell == cell:
                return candidate.calibration.llr(value) if candidate.measurable else None
        return None


def cell_of(quality: Quality, cuts: Mapping[str, Sequence[float]]) -> dict[str, int]:
    """Which cell a window's quality falls into; a missing measure counts as the best value."""
    return {
        measure: sum(quality.get(measure, math.inf) >= cut for cut in edges)
        for measure, edges in cuts.items()
    }


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """A held-out window for fitting."""

    call: str
    """Names the call it comes from: folds never divide a call."""
    fake: bool
    value: float
    quality: Quality


def fit_bins(
    windows: Sequence[LabelledWindow],
    cuts: Mapping[str, Sequence[float]] = MEASURES,
    cap: float = 3.0,
) -> BinnedCalibration:
    """Fit every cell that the windows reach.

    Raises ValueError when the pooled detector does not separate the classes.
    """
    value = np.array([w.value for w in windows])
    fake = np.array([w.fake for w in windows])
    pooled = fit(value[~fake], value[fake], cap)
    cells = [cell_of(w.quality, cuts) for w in windows]
    bins = []
    for cell in _all_cells(cuts):
        inside = np.array([c == cell for c in cells])
        calls = [
            {w.call for w, here in zip(windows, inside, strict=True) if here and w.fake is kind}
            for kind in (False, True)
        ]
        own = min(len(c) for c in calls) >= _FEWEST_CALLS
        names = np.array([w.call for w in windows])[inside]
        scores, labels = value[inside], fake[inside]
        try:
            calibration = fit(scores[~labels], scores[labels], cap) if own else pooled
            cost = (
                _cross_validated(scores, labels, names, cap)
                if own
                else _cost(scores, labels, pooled)
            )
        except ValueError:
            # The detector points the wrong way here.
            calibration, cost = pooled, math.inf
        bins.append(QualityBin(cell, calibration, cost, len(calls[0]), len(calls[1])))
    return BinnedCalibration(dict(cuts), tuple(bins))


def _all_cells(cuts: Mapping[str, Sequence[float]]) -> list[dict[str, int]]:
    cells: list[dict[str, int]] = [{}]
    for measure, edges in cuts.items():
        cells = [{**cell, measure: n} for cell in cells for n in range(len(edges) + 1)]
    return cells


def _cost(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], calibration: Calibration
) -> float:
    """Cllr of a bin too small for a map of its own; 1 when nothing is known about it."""
    if not labels.any() or labels.all():
        return 1.0
    llrs = np.array([calibration.llr(float(x)) for x in scores])
    return cllr(llrs[~labels], llrs[labels])


def _cross_validated(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    calls: NDArray[np.str_],
    cap: float,
) -> float:
    """Cllr of windows calibrated by the other calls only."""
    names = np.unique(calls)
    fold = {name: i % _FOLDS for i, name in enumerate(np.random.default_rng(0).permutation(names))}
    of = np.array([fold[name] for name in calls])
    llrs = np.zeros(len(scores))
    for k in range(_FOLDS):
        held, rest = of == k, of != k
        calibration = fit(scores[rest & ~labels], scores[rest & labels], cap)
        llrs[held] = [calibration.llr(float(x)) for x in scores[held]]
    return cllr(llrs[~labels], llrs[labels])
