"""What platforms send that is not as it should be: the call goes on, and it is said and counted."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.runtime import log

_log = log.get(__name__)

_MOST = 50
"""Different ones that are logged of a call; all are counted."""


class AnomalyKind(StrEnum):
    """What is odd; a metric label."""

    EVENT = "event"
    """A message of a kind that is not known; platforms add some over time."""
    MESSAGE = "message"
    """A message, or a part of one, that cannot be read."""
    MEDIA = "media"
    """Sound that cannot be decoded."""
    EARLY = "early"
    """Sound before the message that describes it."""
    TRACK = "track"
    """A track that was not announced."""
    FORMAT = "format"
    """A description that leaves something open, which was taken for granted."""
    ORDER = "order"
    """Out of turn, or said a second time."""
    METADATA = "metadata"
    """SIPREC metadata, or a part of it, that cannot be used."""
    SECTION = "section"
    """A section of an SDP offer that cannot be received, while others are."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One oddity; words of a caller or a secret belong in neither text."""

    kind: AnomalyKind
    field: str
    """Where it is."""
    detail: str
    """What is odd about it, and what was made of it."""


class Anomalies:
    """Those of one call: the first of each goes to the log, all are counted."""

    def __init__(self, ingest: str, count: Callable[[str, str], None]) -> None:
        """`count(ingest, kind)` hears of each."""
        self._ingest = ingest
        self._count = count
        self._said: set[tuple[AnomalyKind, str]] = set()

    def note(self, anomaly: Anomaly, call: str = "") -> None:
        """Take one in; `call` is the call's id, as far as there is a call."""
        self._count(self._ingest, anomaly.kind)
        seen = anomaly.kind, anomaly.field
        if seen not in self._said and len(self._said) < _MOST:
            self._said.add(seen)
            _log.warning(
                "not as it should be",
                ingest=self._ingest,
                call=call,
                kind=anomaly.kind,
                field=anomaly.field[:80],
                detail=anomaly.detail[:200],
            )
