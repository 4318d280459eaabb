"""How far what is seen now is from what the calibration saw. Pure.

Two views: histograms of scores and quality against the reference (population stability index),
and a martingale over calls' p-values, which grows only if genuine calls stop looking like the
reference calls (Vovk, Nouretdinov and Gammerman 2003; the simple jumper of Vovk et al. 2021).
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HISTOGRAM_EDGES: Mapping[str, tuple[float, ...]] = {
    "score": (-8.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 8.0),
    "level_dbfs": (-50.0, -40.0, -35.0, -30.0, -25.0, -20.0, -15.0),
    "bandwidth_hz": (2000.0, 3000.0, 3600.0, 4200.0, 5000.0, 6000.0, 7000.0),
    "snr_db": (5.0, 12.0, 20.0, 30.0, 40.0),
    "speech_seconds": (1.5, 2.0, 2.5, 2.9),
}
"""Bin edges of what is watched."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges; one more count than edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, edges: Sequence[float], values: Sequence[float]) -> "Histogram":
        """Count values."""
        counts = [0] * (len(edges) + 1)
        for value in values:
            counts[bisect_right(edges, value)] += 1
        return cls(tuple(edges), tuple(counts))


def stability_index(reference: Sequence[int], seen: Sequence[int]) -> float:
    """Population stability index of two histograms; 0 is equal, above 0.25 is commonly a shift.

    Half a count is added to each bin, so that an empty one does not make it infinite.
    """
    expected, actual = sum(reference) + len(reference) / 2, sum(seen) + len(seen) / 2
    index = 0.0
    for r, s in zip(reference, seen, strict=True):
        p, q = (r + 0.5) / expected, (s + 0.5) / actual
        index += (q - p) * math.log(q / p)
    return index


class DriftWindow:
    """The latest values of each watched measure against the reference."""

    def __init__(self, reference: Mapping[str, Histogram], capacity: int = 5000) -> None:
        """`capacity` is the number of windows that count as now."""
        self._reference = reference
        self._seen: dict[str, deque[int]] = {m: deque(maxlen=capacity) for m in reference}
        self._counts = {m: [0] * len(h.counts) for m, h in reference.items()}

    def add(self, measure: str, value: float) -> None:
        """Take one window's value; measures without a reference are ignored."""
        if measure not in self._reference:
            return
        seen, counts = self._seen[measure], self._counts[measure]
        if len(seen) == seen.maxlen:
            counts[seen[0]] -= 1
        at = bisect_right(self._reference[measure].edges, value)
        seen.append(at)
        counts[at] += 1

    def index(self, measure: str, fewest: int = 200) -> float | None:
        """Stability index of a measure, or None before `fewest` windows were seen."""
        if len(self._seen[measure]) < fewest:
            return None
        return stability_index(self._reference[measure].counts, self._counts[measure])

    @property
    def measures(self) -> list[str]:
        """What is watched."""
        return list(self._reference)


class DriftMartingale:
    """Bets against the p-values of calls being uniform; large values are evidence of drift.

    If they are uniform, the chance of ever exceeding C is at most 1/C (Ville's inequality).
    """

    _BETS = (-1.0, 0.0, 1.0)
    _JUMP = 0.01

    def __init__(self) -> None:
        self._capital = [1.0 / len(self._BETS)] * len(self._BETS)
        self.log10 = 0.0
        """Logarithm of the capital, 0 at the start."""

    def add(self, p_value: float) -> None:
        """Take one finished call's p-value."""
        total = sum(self._capital)
        share = self._JUMP / len(self._BETS)
        capital = [(1 - self._JUMP) * c + share * total for c in self._capital]
        capital = [
            c * (1 + bet * (p_value - 0.5)) for c, bet in zip(capital, self._BETS, strict=True)
        ]
        grown = sum(capital)
        self.log10 += math.log10(grown / total)
        # Kept near 1: only ratios matter, and the capital of a long run would overflow.
        self._capital = [c / grown for c in capital]
