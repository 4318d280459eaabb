"""Where champion and challenger part: the latest calls in which they did, and totals.

In memory: a restart begins anew.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from monitor.delivery.logged import NullSink
from monitor.types import AlarmState, Verdict

REMEMBERED = 1000
"""Participants whose disagreement is kept, the latest."""
_ALARMED = (AlarmState.REVIEW, AlarmState.ALERT)


def differ(champion: AlarmState, challenger: AlarmState) -> bool:
    """Whether two states lead to different actions: warming and normal both mean to wait."""
    return champion is not challenger and (champion in _ALARMED or challenger in _ALARMED)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both made of one window."""

    champion: Verdict
    challenger: Verdict


@dataclass(slots=True)
class Disagreement:
    """One participant of one call about whom the two parted."""

    call: str
    first: Comparison
    """When they first did."""
    latest: Comparison
    """When they last did."""
    windows: int = 0
    """Windows after which they stood in different states."""
    ended: bool = False
    """Whether the call is over."""


@dataclass(slots=True)
class _Compared:
    """A participant of a call in progress."""

    champion: AlarmState = AlarmState.WARMING
    """The gravest state reached."""
    challenger: AlarmState = AlarmState.WARMING
    disagreement: Disagreement | None = None


@dataclass(slots=True)
class Totals:
    """Counts since the service started."""

    windows: Counter[tuple[AlarmState, AlarmState]] = field(default_factory=Counter)
    """By champion's and challenger's state after the window."""
    calls: Counter[tuple[AlarmState, AlarmState]] = field(default_factory=Counter)
    """Participants of ended calls by the gravest state that either reached."""


class Disagreements(NullSink):
    """Listens to comparisons only."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._latest: deque[Disagreement] = deque(maxlen=REMEMBERED)
        self._active: dict[str, dict[str, _Compared]] = {}

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Count the window, and remember the call if the two stand in different states."""
        self.totals.windows[verdict.state, challenger.state] += 1
        compared = self._active.setdefault(call, {}).setdefault(verdict.participant, _Compared())
        compared.champion = max(compared.champion, verdict.state, key=lambda s: s.gravity)
        compared.challenger = max(compared.challenger, challenger.state, key=lambda s: s.gravity)
        if not differ(verdict.state, challenger.state):
            return
        now = Comparison(verdict, challenger)
        if compared.disagreement is None:
            compared.disagreement = Disagreement(call, now, now)
            self._latest.append(compared.disagreement)
        compared.disagreement.latest = now
        compared.disagreement.windows += 1

    def call_ended(self, call: str, reason: str) -> None:
        """Count the call by what either made of it as a whole."""
        for compared in self._active.pop(call, {}).values():
            self.totals.calls[compared.champion, compared.challenger] += 1
            if compared.disagreement is not None:
                compared.disagreement.ended = True

    def latest(self, limit: int) -> Iterator[Disagreement]:
        """Return up to `limit` disagreements, the newest first."""
        return (found for found, _ in zip(reversed(self._latest), range(limit), strict=False))
