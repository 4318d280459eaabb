"""One alert type's LLRs in order of time → a statistic, alarm transitions, a p-value. Pure."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.decision.alarm import Alarm, AlarmTiming, Transition
from monitor.decision.policy import Policy
from monitor.decision.sequential import HORIZON, STATISTICS, ScanPoint
from monitor.decision.strata import is_narrow, stratum
from monitor.types import AlarmState, AlertType, Quality, Span


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a participant stands by one alert type."""

    type: AlertType
    state: AlarmState
    statistic: float
    """Natural log; minus infinity before the first scored window."""
    total: float | None
    """Evidence of everything within the horizon; None before the first scored window."""
    p_value: float | None
    span: Span | None
    """What carries the statistic."""
    thresholds: Mapping[str, float]
    """By tier: the statistic above which a call of this kind alarms."""


class Decision:
    """What one alert type makes of one participant.

    Only scored windows move the statistic: an abstention adds exactly nothing to it.
    """

    def __init__(self, type_: AlertType, policy: Policy, timing: AlarmTiming) -> None:
        self.type = type_
        self.policy = policy
        self._statistic = STATISTICS[policy.statistic](policy.scan)
        self._alarm = Alarm(policy.certificate.tiers.keys(), timing)
        self._warm_up = timing.warm_up
        self._point: ScanPoint | None = None
        self._recent: deque[float] = deque(maxlen=HORIZON)
        """The statistic over the horizon: reference maxima are over one horizon as well."""
        self._narrow = self._windows = 0
        self._modalities: frozenset[str] = frozenset()

    def update(
        self,
        llr: float,
        span: Span,
        quality: Quality,
        scored_seconds: float,
        modalities: frozenset[str],
    ) -> list[Transition]:
        """Take one scored window; return which tiers changed, mildest first.

        `modalities` are those of the participant that have been scored so far.
        """
        self._modalities = modalities
        self._windows += 1
        self._narrow += is_narrow(quality)
        self._point = self._statistic.update(llr, span)
        if scored_seconds >= self._warm_up:
            # Reference maxima begin after the warm-up too.
            self._recent.append(self._point.statistic)
        return self._alarm.update(
            self._point.statistic, self._thresholds(), scored_seconds, span.end
        )

    @property
    def stratum(self) -> str:
        """The kind of call whose reference applies."""
        return stratum(self._modalities, self._narrow, self._windows)

    @property
    def raised(self) -> list[tuple[AlarmState, int]]:
        """Tiers that are raised now, with their sequence numbers."""
        return self._alarm.raised

    def standing(self) -> Standing:
        """Return where the participant stands now."""
        point = self._point
        certificate = self.policy.certificate
        return Standing(
            type=self.type,
            state=self._alarm.state,
            statistic=point.statistic if point else -math.inf,
            total=point.total if point else None,
            p_value=certificate.p_value(max(self._recent), self.stratum) if self._recent else None,
            span=point.span if point else None,
            thresholds=self._thresholds(),
        )

    def _thresholds(self) -> dict[str, float]:
        tiers = self.policy.certificate.tiers
        return {name: tier.threshold(self.stratum) for name, tier in tiers.items()}
