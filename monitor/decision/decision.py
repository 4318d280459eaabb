"""One participant's outcomes in order of time → verdicts and alarm transitions. Pure."""

import math
from collections import deque
from dataclasses import dataclass

from monitor.decision.alarm import Alarm, AlarmTiming, Transition
from monitor.decision.ledger import Ledger
from monitor.decision.policy import Policy
from monitor.decision.sequential import HORIZON, ScanPoint, ScanStatistic
from monitor.types import (
    AlarmState,
    AlertType,
    Outcome,
    Score,
    Span,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one outcome changed."""

    verdict: Verdict
    transitions: tuple[Transition, ...]


class Decision:
    """What is decided about one participant from one detector's outcomes.

    Only scored windows move the statistic: an abstention adds exactly nothing to the evidence,
    and its seconds are booked as unmonitored.
    """

    def __init__(
        self, participant: str, type_: AlertType, policy: Policy, timing: AlarmTiming
    ) -> None:
        self._participant = participant
        self._type = type_
        self._policy = policy
        self._scan = ScanStatistic(policy.scan)
        thresholds = {t.name: t.threshold for t in policy.certificate.tiers.values()}
        self._alarm = Alarm({n: h for n, h in thresholds.items() if math.isfinite(h)}, timing)
        self._point: ScanPoint | None = None
        self._maximum = -math.inf
        self._scores: deque[Score] = deque(maxlen=HORIZON)
        self.ledger = Ledger()

    def update(self, outcome: Outcome) -> Step:
        """Take the next window's outcome."""
        self.ledger.record(outcome)
        transitions: list[Transition] = []
        if isinstance(outcome, Score):
            self._scores.append(outcome)
            self._point = self._scan.update(outcome.llr, outcome.span)
            self._maximum = max(self._maximum, self._point.statistic)
            transitions = self._alarm.update(
                self._point.statistic, self.ledger.scored, outcome.span.end
            )
        return Step(self.verdict(outcome.span.end), tuple(transitions))

    def verdict(self, time: float) -> Verdict:
        """Return where the participant stands at `time` call seconds."""
        point, state = self._point, self._alarm.state
        alarmed = state in (AlarmState.REVIEW, AlarmState.ALERT)
        return Verdict(
            participant=self._participant,
            time=time,
            state=state,
            type=self._type,
            statistic=point.statistic if point else -math.inf,
            llr=point.total if point else None,
            p_value=self._policy.certificate.p_value(self._maximum) if point else None,
            onset=point.span.start if point and alarmed else None,
            seconds=self.ledger.seconds(),
        )

    @property
    def raised(self) -> list[tuple[AlarmState, int]]:
        """Tiers that are raised now, with their sequence numbers."""
        return [(tier.tier, tier.sequence) for tier in self._alarm.tiers if tier.raised]

    @property
    def span(self) -> Span | None:
        """The span that carries the statistic, or None before the first score."""
        return self._point.span if self._point else None

    def evidence(self) -> tuple[Score, ...]:
        """Return the scores inside the span that carries the statistic."""
        span = self.span
        if span is None:
            return ()
        return tuple(s for s in self._scores if s.span.start >= span.start)
