"""The scan statistic over call time → alarm states with hysteresis. Pure.

statistic   ____/‾‾‾‾‾‾‾‾\\_________     threshold and, 2 below it, the clear level
state       normal | alert .......... | normal
                   ^ raised           ^ cleared: below the clear level for 30 s
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.types import AlarmState, AlertAction

TIERS = (AlarmState.REVIEW, AlarmState.ALERT)
"""From the mildest to the gravest."""


@dataclass(frozen=True, slots=True)
class AlarmTiming:
    """How fast states change, in seconds of call time."""

    warm_up: float = 6.0
    """Scored seconds before any decision."""
    clear_margin: float = 2.0
    """How far, in natural log units, the statistic must fall below the threshold to clear."""
    clear_after: float = 30.0
    """How long it must stay there."""
    cool_down: float = 120.0
    """How long a cleared tier stays quiet."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A tier was raised or cleared."""

    tier: AlarmState
    action: AlertAction
    sequence: int


class TierAlarm:
    """One tier of one participant."""

    def __init__(self, tier: AlarmState, timing: AlarmTiming) -> None:
        self.tier = tier
        self.raised = False
        self.sequence = 0
        self._timing = timing
        self._below_since: float | None = None
        self._quiet_until = 0.0

    def update(self, statistic: float, threshold: float, time: float) -> Transition | None:
        """Return the transition this statistic causes at `time` call seconds, if any."""
        if not self.raised:
            if statistic <= threshold or time < self._quiet_until:
                return None
            self.raised = True
            self.sequence += 1
            self._below_since = None
            return Transition(self.tier, AlertAction.RAISED, self.sequence)
        if statistic >= threshold - self._timing.clear_margin:
            self._below_since = None
            return None
        if self._below_since is None:
            self._below_since = time
        if time - self._below_since < self._timing.clear_after:
            return None
        self.raised = False
        self._quiet_until = time + self._timing.cool_down
        return Transition(self.tier, AlertAction.CLEARED, self.sequence)


class Alarm:
    """All tiers of one participant and one alert type."""

    def __init__(self, tiers: Iterable[str], timing: AlarmTiming) -> None:
        """`tiers` names those that can alarm."""
        names = set(tiers)
        self._timing = timing
        self._tiers = [TierAlarm(tier, timing) for tier in TIERS if tier in names]
        self._warm = False

    def update(
        self,
        statistic: float,
        thresholds: Mapping[str, float],
        scored_seconds: float,
        time: float,
    ) -> list[Transition]:
        """Take the statistic after one scored window; return what changed, mildest tier first.

        `thresholds` maps tiers to statistics that must be exceeded.
        """
        self._warm = self._warm or scored_seconds >= self._timing.warm_up
        if not self._warm:
            return []
        changes = (tier.update(statistic, thresholds[tier.tier], time) for tier in self._tiers)
        return [change for change in changes if change is not None]

    @property
    def raised(self) -> list[tuple[AlarmState, int]]:
        """Raised tiers with their sequence numbers, mildest first."""
        return [(tier.tier, tier.sequence) for tier in self._tiers if tier.raised]

    @property
    def state(self) -> AlarmState:
        """The gravest raised tier, or normal, or warming."""
        if self.raised:
            return self.raised[-1][0]
        return AlarmState.NORMAL if self._warm else AlarmState.WARMING
