"""What else one could do with the same window LLRs, to hold the scan against. Pure.

Each is run in two ways: with the threshold a textbook gives for independent windows, and with
one set on whole genuine calls, as the scan's is.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from monitor.decision.sequential import ScanModel, ScanPoint, ScanStatistic, Statistic
from monitor.types import Span

SCAN, MEAN, WINDOW, CUSUM = "scan", "mean", "window", "cusum"
BASELINES = (MEAN, WINDOW, CUSUM)


class MeanOverCall:
    """The mean LLR of the call so far."""

    def __init__(self) -> None:
        self._sum, self._windows = 0.0, 0
        self._start: float | None = None

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Add a scored window and return the statistic."""
        self._start = span.start if self._start is None else self._start
        self._sum += llr
        self._windows += 1
        mean = self._sum / self._windows
        return ScanPoint(mean, mean, Span(self._start, span.end), self._windows)


class SingleWindow:
    """The LLR of the newest window alone."""

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Take a scored window and return the statistic."""
        return ScanPoint(llr, llr, span, 1)


class PlainCusum:
    """Page's cumulative sum of the LLRs as they are (Biometrika 1954)."""

    def __init__(self) -> None:
        self._sum, self._windows, self._start = 0.0, 0, 0.0

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Add a scored window and return the statistic."""
        if self._sum <= 0:
            self._start, self._windows = span.start, 0
        self._sum = max(0.0, self._sum + llr)
        self._windows += 1
        return ScanPoint(self._sum, self._sum, Span(self._start, span.end), self._windows)


STATISTICS: dict[str, Callable[[ScanModel], Statistic]] = {
    SCAN: ScanStatistic,
    MEAN: lambda _: MeanOverCall(),
    WINDOW: lambda _: SingleWindow(),
    CUSUM: lambda _: PlainCusum(),
}
"""The scan and its baselines, made new for each call."""


def naive_threshold(
    statistic: str, windows: NDArray[np.float64], windows_averaged: int, alpha: float
) -> float:
    """The threshold for a nominal false-alarm rate if windows were independent.

    `windows` holds the LLRs of genuine windows, calls forgotten.
    mean: normal quantile of a mean of so many independent windows, longer means vary less;
    window: their quantile; cusum: ln(1 / alpha), as in a sequential probability ratio test.
    """
    if statistic == MEAN:
        error = float(windows.std(ddof=1)) / math.sqrt(windows_averaged)
        return float(windows.mean()) + NormalDist().inv_cdf(1 - alpha) * error
    if statistic == WINDOW:
        return float(np.quantile(windows, 1 - alpha))
    if statistic == CUSUM:
        return math.log(1 / alpha)
    raise ValueError(f"no textbook threshold for {statistic}")
