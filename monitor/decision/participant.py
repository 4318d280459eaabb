"""One participant's outcomes from all detectors → verdicts and typed alarm transitions. Pure.

Each alert type has a statistic of its own, so that evidence about one modality never moves
another's. The fused type sees the mixture of all modalities, hop by hop.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.decision.alarm import TIERS, AlarmTiming, Transition
from monitor.decision.alignment import Alignment, Row
from monitor.decision.decision import Decision
from monitor.decision.fusion import Evidence, fuse
from monitor.decision.ledger import Ledger
from monitor.decision.policy import Policy
from monitor.decision.sequential import HORIZON
from monitor.decision.strata import MODALITIES
from monitor.types import AlarmState, AlertType, Outcome, Score, Span, Verdict

SINGLE = {"voice": AlertType.VOICE, "face": AlertType.FACE, "sync": AlertType.SYNC}
"""Detectors that raise an alert type of their own."""
MOST_EVIDENCE = 60
"""Scores an alert carries at most; the latest."""


@dataclass(frozen=True, slots=True)
class TypedTransition:
    """A tier of one alert type was raised or cleared."""

    type: AlertType
    change: Transition


@dataclass(frozen=True, slots=True)
class Step:
    """What one outcome changed."""

    verdict: Verdict
    transitions: tuple[TypedTransition, ...]


class ParticipantDecision:
    """What is decided about one participant; types without a policy never alarm."""

    def __init__(
        self, participant: str, policies: Mapping[AlertType, Policy], timing: AlarmTiming
    ) -> None:
        self._participant = participant
        self._decisions = {t: Decision(t, p, timing) for t, p in policies.items()}
        fused = AlertType.FUSED in policies
        calibrated = {d for d, t in SINGLE.items() if t in policies}
        self._alignment = Alignment(calibrated) if fused else None
        self._ledgers: dict[str, Ledger] = {}
        self._scores: deque[Score] = deque(maxlen=2 * HORIZON)
        self._time = 0.0
        self._modalities: frozenset[str] = frozenset()

    def update(self, outcome: Outcome) -> Step:
        """Take one detector's outcome for one window."""
        ledger = self._ledgers.setdefault(outcome.detector, Ledger())
        ledger.record(outcome)
        self._time = max(self._time, outcome.span.end)
        transitions: list[TypedTransition] = []
        if isinstance(outcome, Score):
            self._scores.append(outcome)
            self._modalities |= MODALITIES.get(outcome.detector, frozenset())
            single = SINGLE.get(outcome.detector)
            decision = self._decisions.get(single) if single is not None else None
            if decision is not None:
                transitions += _typed(
                    decision,
                    decision.update(
                        outcome.llr,
                        outcome.span,
                        outcome.quality,
                        ledger.scored,
                        self._modalities,
                    ),
                )
        if self._alignment is not None and outcome.detector in SINGLE:
            for row in self._alignment.add(outcome):
                transitions += self._fuse(row)
        return Step(self.verdict(), tuple(transitions))

    def finish(self) -> Step:
        """Fuse what still waited for a slower modality."""
        rows: Iterable[Row] = self._alignment.flush() if self._alignment is not None else ()
        transitions = [t for row in rows for t in self._fuse(row)]
        return Step(self.verdict(), tuple(transitions))

    def verdict(self) -> Verdict:
        """Return where the participant stands: by the type in the gravest state."""
        standings = [d.standing() for d in self._decisions.values()]
        gravest = max(
            standings,
            key=lambda s: (s.state.gravity, s.total is not None, -s.type.order),
            default=None,
        )
        alarmed = gravest is not None and gravest.state in TIERS
        return Verdict(
            participant=self._participant,
            time=self._time,
            state=gravest.state if gravest else AlarmState.WARMING,
            type=gravest.type if gravest else AlertType.VOICE,
            statistic=gravest.statistic if gravest else float("-inf"),
            llr=gravest.total if gravest else None,
            p_value=gravest.p_value if gravest else None,
            onset=gravest.span.start if gravest and gravest.span and alarmed else None,
            seconds=self._ledger.seconds(),
            thresholds=gravest.thresholds if gravest else {},
        )

    def raised(self) -> list[tuple[AlertType, AlarmState, int]]:
        """Every raised tier with its sequence number."""
        return [(t, tier, n) for t, d in self._decisions.items() for tier, n in d.raised]

    def policy(self, type_: AlertType) -> Policy:
        """The policy of one alert type."""
        return self._decisions[type_].policy

    def span(self, type_: AlertType) -> Span:
        """The span that carries one type's statistic."""
        return self._decisions[type_].standing().span or Span(0.0, self._time)

    def evidence(self, type_: AlertType) -> tuple[Score, ...]:
        """The scores inside that span, of the detectors that the type listens to."""
        start = self.span(type_).start
        heard = [
            s
            for s in self._scores
            if s.span.start >= start and type_ in (SINGLE.get(s.detector), AlertType.FUSED)
        ]
        return tuple(heard[-MOST_EVIDENCE:])

    @property
    def _ledger(self) -> Ledger:
        """Of the voice, or of the face for a participant without audio."""
        for detector in ("voice", "face"):
            if detector in self._ledgers:
                return self._ledgers[detector]
        return Ledger()

    def _fuse(self, row: Row) -> list[TypedTransition]:
        decision = self._decisions[AlertType.FUSED]
        llrs = row.llrs
        fused = fuse(Evidence(llrs.get("voice"), llrs.get("face"), llrs.get("sync")))
        if fused is None:
            return []
        return _typed(
            decision,
            decision.update(fused, row.span, row.quality, row.scored_seconds, row.modalities),
        )


def _typed(decision: Decision, changes: Iterable[Transition]) -> list[TypedTransition]:
    return [TypedTransition(decision.type, change) for change in changes]
