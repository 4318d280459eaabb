"""One source that a cluster is to pull."""

from dataclasses import dataclass
from typing import Any

from monitor.cluster.lease import Report
from monitor.store.sources import Account, SourceRow

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
    flowing: bool = False
    """Whether its holder reports media."""
    flowed: bool = False
    """Whether media has ever been seen."""
    away: float | None = None
    """Since when nobody pulls it; None while it is pulled, or has never flowed."""
    lost_seconds: float = 0.0
    """Of gaps that are over."""
    kept: bool = True
    """Whether the database knows of all this."""

    @classmethod
    def resumed(cls, row: SourceRow, account: Account, now: float, until: float) -> "Pull":
        """Go on with what another director has kept."""
        away = None if account.away is None else now - account.away
        return cls(row, until, flowed=account.flowed, away=away, lost_seconds=account.lost_seconds)

    def reported(self, report: Report, now: float) -> None:
        """Learn from a node's report whether it has been let go, or flows."""
        if self.released_by == report.instance and self.row.id not in report.held:
            self.released_by, self.until = None, min(self.until, now)
        held = report.held.get(self.row.id) == self.row.epoch
        if held and self.row.holder == report.instance and self.row.id in report.flowing:
            self.kept &= self.flowed and self.away is None
            self.over(now)
            self.flowing = self.flowed = True

    def leave(self, since: float) -> None:
        """Begin to count the seconds for which nobody pulls it."""
        self.flowing = False
        if self.flowed:
            self.away = since if self.away is None else min(self.away, since)

    def over(self, now: float) -> None:
        """Count no further: it is pulled again, or is not to be."""
        self.lost_seconds += max(0.0, now - self.away) if self.away is not None else 0.0
        self.away = None

    def account(self, now: float) -> Account:
        """What a later director has to know."""
        away = None if self.away is None else max(0.0, now - self.away)
        return Account(self.flowed, self.lost_seconds, away)

    def record(self, now: float) -> dict[str, Any]:
        """JSON-ready; what is to be pulled is sealed."""
        waiting = now - self.away if self.away is not None else 0.0
        return {
            "id": self.row.id,
            "sealed": self.row.sealed,
            "node": self.row.holder,
            "epoch": self.row.epoch,
            "ended": self.row.ended,
            "flowing": self.flowing and self.row.ended is None,
            "lost_seconds": round(self.lost_seconds + waiting, 1),
        }
