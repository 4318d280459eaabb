"""Window LLRs of one participant → a statistic that reacts fast and saturates honestly. Pure.

Windows of one call share speaker, microphone and codec, so a sum of their LLRs grows without
bound on an unlucky genuine call. The model here gives every call an offset of its own:

    x_t = mean(class) + b_call + e_t,   b ~ N(0, between),   e ~ AR(1) with variance `within`

and scans recent spans for the best mixed-effects log-likelihood ratio. More seconds cannot buy
more certainty than the variance between calls allows.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.types import Span

SPANS = (8, 15, 30, 60, 120)
"""Numbers of recent speech windows that are scanned, besides the whole horizon."""
HORIZON = 300
"""Speech windows after which the oldest are forgotten: thresholds are set for this length."""


@dataclass(frozen=True, slots=True)
class ScanModel:
    """What window LLRs of genuine and fake calls look like."""

    genuine: float
    """Mean LLR of genuine windows."""
    separation: float
    """Mean LLR of fake windows minus `genuine`; positive."""
    between: float
    """Variance of call means."""
    within: float
    """Variance of windows around their call's mean."""
    autocorrelation: float
    """Correlation of neighbouring windows of one call, in [0, 1)."""

    def evidence(self, mean: float, windows: int) -> float:
        """Mixed-effects log-likelihood ratio of a span with this mean LLR."""
        inflation = (1 + self.autocorrelation) / (1 - self.autocorrelation)
        variance = self.between + self.within * min(1.0, inflation / windows)
        return (self.separation * (mean - self.genuine) - self.separation**2 / 2) / variance


@dataclass(frozen=True, slots=True)
class ScanPoint:
    """The statistic after one more window."""

    statistic: float
    """Greatest evidence over the scanned spans, natural log."""
    total: float
    """Evidence of everything within the horizon, natural log."""
    span: Span
    """The span that gives `statistic`."""
    windows: int
    """Speech windows in `span`."""


class Statistic(Protocol):
    """What turns one participant's window LLRs into something to hold against a threshold."""

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Add a scored window and return the statistic."""


class Cusum:
    """Page's cumulative sum (Biometrika 1954), as an alternative to the scan.

    It forgets an unremarkable past at once, but its evidence does not saturate: its thresholds
    differ widely between detectors and must come from whole calls like any other.
    """

    REFERENCE = 0.75
    """Of the separation: a higher reference value forgives more of a call's own offset."""

    def __init__(self, model: ScanModel) -> None:
        self._model = model
        self._sum = self._total = 0.0
        self._windows = 0
        self._start = 0.0

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Add a scored window and return the statistic."""
        model = self._model
        scale = model.separation / (model.between + model.within)
        step = scale * (llr - model.genuine - self.REFERENCE * model.separation)
        if self._sum <= 0:
            self._start, self._windows = span.start, 0
        self._sum = max(0.0, self._sum + step)
        self._windows += 1
        self._total += scale * (llr - model.genuine - model.separation / 2)
        return ScanPoint(self._sum, self._total, Span(self._start, span.end), self._windows)


class ScanStatistic:
    """The scan over one participant's recent speech windows."""

    def __init__(self, model: ScanModel) -> None:
        self._model = model
        self._llrs: deque[float] = deque(maxlen=HORIZON)
        self._spans: deque[Span] = deque(maxlen=HORIZON)

    def update(self, llr: float, span: Span) -> ScanPoint:
        """Add a scored window and return the statistic."""
        self._llrs.append(llr)
        self._spans.append(span)
        n = len(self._llrs)
        sums = np.cumsum(np.fromiter(self._llrs, np.float64, n)[::-1])
        sizes = sorted({min(size, n) for size in (*SPANS, n)})
        evidence = [self._model.evidence(float(sums[size - 1]) / size, size) for size in sizes]
        best = int(np.argmax(evidence))
        start = self._spans[n - sizes[best]].start
        return ScanPoint(evidence[best], evidence[-1], Span(start, span.end), sizes[best])


STATISTICS: dict[str, type[ScanStatistic] | type[Cusum]] = {
    "scan": ScanStatistic,
    "cusum": Cusum,
}
"""By the name that a policy gives it."""


def fit(genuine: Sequence[NDArray[np.float64]], fake: Sequence[NDArray[np.float64]]) -> ScanModel:
    """Fit by the method of moments on window LLRs grouped by call, in order of time.

    Variances are those of genuine calls: the threshold guards against their tails.
    Raises ValueError if fakes do not score higher than genuine calls on average.
    """
    means = np.array([call.mean() for call in genuine])
    sizes = np.array([len(call) for call in genuine])
    residuals = [call - call.mean() for call in genuine if len(call) > 1]
    freedom = sum(len(r) - 1 for r in residuals)
    within = sum(float(r @ r) for r in residuals) / max(1, freedom)
    lagged = sum(float(r[1:] @ r[:-1]) for r in residuals)
    square = sum(float(r[:-1] @ r[:-1]) for r in residuals)
    phi = min(0.95, max(0.0, lagged / square if square else 0.0))
    inflation = (1 + phi) / (1 - phi)
    noise = float(np.mean(within * np.minimum(1.0, inflation / sizes)))
    between = max(0.05 * within, float(np.var(means, ddof=1)) - noise)
    centre = float(means.mean())
    separation = float(np.mean([call.mean() for call in fake])) - centre
    if separation <= 0 or not math.isfinite(separation):
        raise ValueError("fake calls do not score higher than genuine calls")
    return ScanModel(centre, separation, between, within, phi)
