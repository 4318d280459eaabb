"""Outcomes of several modalities → one row per hop of call time, in order. Pure.

Detectors answer at different speeds. A row is complete when every expected modality has
answered for that hop, or when another one is so far ahead that the answer counts as missing;
the distance is in call time, so that a replay and a live call give the same rows. All that a row
says is as of its hop, never as of the moment at which it became complete.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from monitor.decision.strata import MODALITIES
from monitor.types import Outcome, Quality, Score, Span

PATIENCE = 3.0
"""Seconds of call time that one modality may be behind before a row goes on without it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What every modality says about the hop that ends here."""

    end: float
    """Call seconds."""
    span: Span
    llrs: dict[str, float]
    """By detector; without those that abstained or are missing."""
    quality: Quality
    """Of the voice's window, if it has one: the line is the same for all."""
    scored_seconds: float
    """Call seconds scored up to here: of the voice, or of the face where no voice was judged."""
    modalities: frozenset[str]
    """What was judged up to here."""


@dataclass(slots=True)
class _Pending:
    span: Span
    llrs: dict[str, float] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    quality: Quality = field(default_factory=dict)
    scored: dict[str, float] = field(default_factory=dict)
    """Fresh seconds by detector."""


class Alignment:
    """Waits for the modalities of one participant."""

    def __init__(self, detectors: set[str]) -> None:
        self._detectors = detectors
        self._pending: dict[float, _Pending] = {}
        self._done = -1.0
        self._scored: defaultdict[str, float] = defaultdict(float)
        self._modalities: frozenset[str] = frozenset()

    def add(self, outcome: Outcome) -> Iterator[Row]:
        """Take an outcome; yield the rows that are complete now, in order of time."""
        end = round(outcome.span.end, 3)
        if end <= self._done:
            # Its row has gone without it.
            return
        row = self._pending.setdefault(end, _Pending(outcome.span))
        row.answered.add(outcome.detector)
        if isinstance(outcome, Score):
            row.llrs[outcome.detector] = outcome.llr
            row.scored[outcome.detector] = outcome.present_seconds
        if outcome.detector == "voice":
            row.quality = outcome.quality
        latest = max(self._pending)
        for key in sorted(self._pending):
            pending = self._pending[key]
            if not (pending.answered >= self._detectors or latest - key > PATIENCE):
                return
            yield self._release(key)

    def flush(self) -> Iterator[Row]:
        """Yield what is left, complete or not."""
        for key in sorted(self._pending):
            yield self._release(key)

    def _release(self, key: float) -> Row:
        pending = self._pending.pop(key)
        self._done = key
        for detector, seconds in pending.scored.items():
            self._scored[detector] += seconds
            self._modalities |= MODALITIES.get(detector, frozenset())
        scored = self._scored.get("voice", self._scored.get("face", 0.0))
        return Row(key, pending.span, pending.llrs, pending.quality, scored, self._modalities)
