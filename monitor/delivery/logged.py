"""The sink that writes alerts to the log, and the silent one that others derive from."""

from monitor.runtime import log
from monitor.types import Alert, Outcome, Preview, Verdict

_log = log.get(__name__)


class NullSink:
    """Hears everything and does nothing."""

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Ignore it."""

    def window(self, call: str, outcome: Outcome) -> None:
        """Ignore it."""

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Ignore it."""

    def preview(self, call: str, preview: Preview) -> None:
        """Ignore it."""

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Ignore it."""

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Ignore it."""

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Ignore it."""

    def alert(self, alert: Alert) -> None:
        """Ignore it."""

    def call_ended(self, call: str, reason: str) -> None:
        """Ignore it."""


class LogSink(NullSink):
    """Writes alerts to the log; calls log their own start and end."""

    def alert(self, alert: Alert) -> None:
        """Log what a person needs to find the call; no media and no score history."""
        _log.warning(
            "alert",
            call=alert.call,
            participant=alert.participant,
            type=alert.type,
            tier=alert.tier,
            action=alert.action,
            statistic=round(alert.verdict.statistic, 3),
            p_value=alert.verdict.p_value,
            certified=alert.certified,
            onset=alert.verdict.onset,
            unmonitored_seconds=round(alert.verdict.seconds.unmonitored, 1),
        )
