"""What has been shown about false alarms, with what bound. Pure.

Calls are the exchangeable unit. A threshold is the order statistic of genuine calls' maxima
that split conformal prediction prescribes; its false-alarm rate is then bounded on *other*
genuine calls with an exact one-sided 95 % limit (Clopper and Pearson 1934).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


def binomial_upper(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper limit of a probability after `events` in `trials`; 1 if no trials."""
    if events >= trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(events, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def poisson_upper(events: int, exposure: float, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper limit of a rate after `events` in `exposure` (hours, say)."""
    if exposure <= 0:
        return math.inf
    low, high = 0.0, events + 10.0 * math.sqrt(events + 1) + 10.0
    for _ in range(80):
        middle = (low + high) / 2
        terms = (
            math.exp(i * math.log(middle) - middle - math.lgamma(i + 1)) for i in range(events + 1)
        )
        if middle == 0 or sum(terms) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high / exposure


def _binomial_cdf(events: int, trials: int, p: float) -> float:
    if p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
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
    """Least threshold whose chance of being reached by a new genuine call is at most `alpha`.

    Infinity if there are too few calls to promise that.
    """
    rank = math.ceil((len(maxima) + 1) * (1 - alpha))
    return math.inf if rank > len(maxima) else sorted(maxima)[rank - 1]


@dataclass(frozen=True, slots=True)
class Tier:
    """One alarm threshold and what is known about its false alarms."""

    name: str
    """`review` or `alert`."""
    threshold: float
    """The scan statistic at which the tier alarms, natural log."""
    target: float
    """False alarms per genuine call that the threshold was set for."""
    calls: int
    """Genuine calls, disjoint from those that set the threshold, that tested it."""
    hours: float
    """Hours of genuine speech in those calls."""
    alarms: int
    """How many of them alarmed."""

    @property
    def bound_per_call(self) -> float:
        """One-sided 95 % upper limit of false alarms per call."""
        return binomial_upper(self.alarms, self.calls)

    @property
    def bound_per_hour(self) -> float:
        """One-sided 95 % upper limit of false alarms per hour of genuine speech."""
        return poisson_upper(self.alarms, self.hours)

    @property
    def certified(self) -> bool:
        """Whether the data show that the target is kept."""
        return self.bound_per_call <= self.target


@dataclass(frozen=True, slots=True)
class Certificate:
    """The tiers of one detector and the genuine calls behind them."""

    identity: str
    """First digits of the SHA-256 of the file it was read from."""
    model: str
    """Version of the model it belongs to."""
    date: str
    tiers: Mapping[str, Tier]
    maxima: tuple[float, ...]
    """Greatest statistic of each genuine reference call, ascending."""
    source: str
    """Which genuine speech, in words."""

    def p_value(self, maximum: float) -> float:
        """Conformal p-value of a call whose statistic never exceeded `maximum`."""
        reached = len(self.maxima) - bisect_left(self.maxima, maximum)
        return (1 + reached) / (len(self.maxima) + 1)
