"""One source that a cluster is to pull."""

from dataclasses import dataclass
from typing import Any

from monitor.cluster.lease import Report
from monitor.store.sources import SourceRow

RETRIED = frozenset({"fenced", "fault", "stopped", "capacity"})
"""Ends of a pull for which the source is not to blame: it is pulled again."""


@dataclass(slots=True)
class Pull:
    """A source, its lease, and what is known of its media; times are of the director's clock."""

    row: SourceRow
    until: float = 0.0
    """Without a holder: when no earlier one can be pulling it any more."""
    released_by: str | None = None
    """The earlier holder, while it still has to let go."""
    flowed: bool = False
    """Whether media has ever been seen."""
    away: float | None = None
    """Since when nobody pulls it; None while media flows."""
    lost_seconds: float = 0.0
    """For which nobody pulled it after it first flowed, as far as this director saw."""

    def reported(self, report: Report, now: float) -> None:
        """Learn from a node's report whether it has been let go, or flows."""
        if self.released_by == report.instance and self.row.id not in report.held:
            self.released_by, self.until = None, min(self.until, now)
        held = report.held.get(self.row.id) == self.row.epoch
        if held and self.row.holder == report.instance and self.row.id in report.flowing:
            self.lost_seconds += now - self.away if self.away is not None else 0.0
            self.away, self.flowed = None, True

    def leave(self, since: float) -> None:
        """Begin to count the seconds for which nobody pulls it."""
        if self.flowed and self.away is None:
            self.away = since

    def record(self, now: float) -> dict[str, Any]:
        """JSON-ready; what is to be pulled is sealed."""
        waiting = now - self.away if self.away is not None else 0.0
        return {
            "id": self.row.id,
            "sealed": self.row.sealed,
            "node": self.row.holder,
            "epoch": self.row.epoch,
            "ended": self.row.ended,
            "flowing": self.flowed and self.away is None and self.row.ended is None,
            "lost_seconds": round(self.lost_seconds + waiting, 1),
        }
