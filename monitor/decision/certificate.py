"""What has been shown about false alarms, with what bound. Pure.

Calls are the exchangeable unit. A threshold is the order statistic of genuine calls' maxima
that split conformal prediction prescribes; its false-alarm rate is then bounded on *other*
genuine calls with exact one-sided 95 % limits (Clopper and Pearson 1934; Garwood 1936).
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
POOLED = "pooled"
"""The stratum of every call whose own stratum has too few reference calls."""


def binomial_upper(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper limit of a probability after `events` in `trials`; 1 if no trials."""
    if events >= trials:
        return 1.0
    return _bisect(lambda p: _binomial_cdf(events, trials, p) > 1 - confidence, 1.0)


def poisson_upper(events: int, exposure: float, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper limit of a rate after `events` in `exposure` (hours, say)."""
    if exposure <= 0:
        return math.inf

    def more_likely(mean: float) -> bool:
        logs = (i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(events + 1))
        return sum(map(math.exp, logs)) > 1 - confidence

    return _bisect(more_likely, events + 10.0 * math.sqrt(events + 1) + 10.0) / exposure


def _bisect(below: Callable[[float], bool], high: float) -> float:
    low = 0.0
    for _ in range(80):
        middle = (low + high) / 2
        if below(middle):
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(events: int, trials: int, p: float) -> float:
    log = math.lgamma(trials + 1)
    return sum(
        math.exp(
            log
            - math.lgamma(i + 1)
            - math.lgamma(trials - i + 1)
            + i * math.log(p)
            + (trials - i) * math.log1p(-p)
        )
        for i in range(events + 1)
    )


def conformal_threshold(maxima: Sequence[float], alpha: float) -> float:
    """Least threshold whose chance of being exceeded by a new genuine call is at most `alpha`.

    Infinity if there are too few calls to promise that.
    """
    # The small term keeps 99 + 1 calls at 5 % from missing rank 95 by a rounding error.
    rank = math.ceil((len(maxima) + 1) * (1 - alpha) - 1e-9)
    return math.inf if rank > len(maxima) else sorted(maxima)[max(0, rank - 1)]


@dataclass(frozen=True, slots=True)
class Tier:
    """One alarm tier: its budget, its thresholds, and what was seen on other genuine calls."""

    name: str
    """`review` or `alert`."""
    budget_per_hour: float
    """False alarms per hour of genuine calls that the thresholds were set for."""
    thresholds: Mapping[str, float]
    """By stratum, always with POOLED: the statistic, natural log, above which it alarms."""
    basis: str
    """`conformal` if enough genuine calls set every threshold; `model` if the scan model's
    simulated calls had to stand in, which proves nothing about real ones."""
    calls: int
    """Genuine calls, disjoint from those that set the thresholds, that tested them."""
    hours: float
    """Hours of those calls."""
    alarms: int
    """How many of them alarmed."""

    def threshold(self, stratum: str) -> float:
        """The statistic above which a call of this stratum alarms."""
        return self.thresholds.get(stratum, self.thresholds[POOLED])

    @property
    def bound_per_call(self) -> float:
        """One-sided 95 % upper limit of false alarms per call like the test calls."""
        return binomial_upper(self.alarms, self.calls)

    @property
    def bound_per_hour(self) -> float:
        """One-sided 95 % upper limit of false alarms per hour of genuine calls."""
        return poisson_upper(self.alarms, self.hours)

    @property
    def certified(self) -> bool:
        """Whether the data show, at 95 % confidence, that the budget is kept."""
        return self.bound_per_hour <= self.budget_per_hour


@dataclass(frozen=True, slots=True)
class Certificate:
    """The tiers of one alert type and the genuine calls behind them."""

    identity: str
    """First digits of the SHA-256 of the file it was read from."""
    model: str
    """Version of the model it belongs to."""
    date: str
    source: str
    """Which genuine speech, in words."""
    tiers: Mapping[str, Tier]
    maxima: Mapping[str, tuple[float, ...]]
    """By stratum, always with POOLED: greatest statistic of each genuine reference call."""

    def p_value(self, maximum: float, stratum: str = POOLED) -> float:
        """Conformal p-value of a call whose statistic never exceeded `maximum`.

        Valid at any time of the call: the maximum only grows.
        """
        reference = self.maxima.get(stratum, self.maxima[POOLED])
        reached = len(reference) - bisect_left(reference, maximum)
        return (1 + reached) / (len(reference) + 1)
