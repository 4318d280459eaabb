"""The latest alerts, kept in memory for the API."""

from collections import deque

from monitor.delivery.logged import NullSink
from monitor.types import Alert

REMEMBERED = 1000


class RecentAlerts(NullSink):
    """Newest last; forgotten when the service stops."""

    def __init__(self) -> None:
        self._alerts: deque[Alert] = deque(maxlen=REMEMBERED)

    def alert(self, alert: Alert) -> None:
        """Remember the alert."""
        self._alerts.append(alert)

    def latest(self, limit: int, call: str | None = None) -> list[Alert]:
        """Return up to `limit` alerts, newest first, of one call or of all."""
        chosen = (a for a in reversed(self._alerts) if call is None or a.call == call)
        return [alert for alert, _ in zip(chosen, range(limit), strict=False)]
