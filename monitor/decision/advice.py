"""What an alert advises, and whose synthetic speech is allowed. Pure.

Advice goes to whoever holds the call; nothing here, or anywhere, ends a call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from monitor.decision.alarm import TIERS
from monitor.types import Advice, AlarmState, Alert, AlertAction, Allowance, Guidance


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an alert is about."""

    label: str
    """The call's label."""
    ingest: str
    participant: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which subjects are meant; what is empty matches all, `*` and `?` as in file names."""

    label: str = ""
    ingest: str = ""
    participant: str = ""

    def matches(self, subject: Subject) -> bool:
        """Whether a subject is meant."""
        pairs = (
            (subject.label, self.label),
            (subject.ingest, self.ingest),
            (subject.participant, self.participant),
        )
        return all(not wanted or fnmatchcase(value, wanted) for value, wanted in pairs)


@dataclass(frozen=True, slots=True)
class Rule:
    """Advice by tier for some subjects."""

    pattern: Pattern
    advice: Mapping[AlarmState, Advice]


@dataclass(frozen=True, slots=True)
class Exemption:
    """Synthetic speech that is allowed for some subjects until its time is over."""

    pattern: Pattern
    name: str
    reason: str
    until: datetime

    @property
    def allowance(self) -> Allowance:
        """As alerts and the interface show it."""
        return Allowance(self.name, self.reason, self.until.isoformat(timespec="seconds"))


class Advisor:
    """The policy of the service; the first rule that matches a call is that call's."""

    def __init__(
        self,
        rules: Sequence[Rule],
        exemptions: Sequence[Exemption],
        wall: Callable[[], datetime],
    ) -> None:
        """The last rule must match everything; raises ValueError otherwise."""
        if not rules or rules[-1].pattern != Pattern():
            raise ValueError("no rule for the rest")
        self.exemptions = tuple(exemptions)
        self._rules = tuple(rules)
        self._wall = wall

    def guide(self, alert: Alert, subject: Subject) -> Guidance:
        """What to do about an alert, by the gravest state that the participant is left in."""
        allowance = self.allowance(subject)
        if allowance is not None:
            return Guidance(Advice.CONTINUE, allowance)
        states = [alert.verdict.state]
        if alert.action is not AlertAction.CLEARED:
            states.append(alert.tier)
        state = max(states, key=lambda s: s.gravity)
        if state not in TIERS:
            return Guidance(Advice.CONTINUE)
        rule = next(r for r in self._rules if r.pattern.matches(subject))
        return Guidance(rule.advice[state])

    def allowance(self, subject: Subject) -> Allowance | None:
        """Why this subject may speak with a synthetic voice now; None if it may not."""
        now = self._wall()
        for exemption in self.exemptions:
            if now < exemption.until and exemption.pattern.matches(subject):
                return exemption.allowance
        return None
