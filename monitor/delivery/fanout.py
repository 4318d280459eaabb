"""One call's events → every sink; a sink that fails is logged and disturbs nobody else."""

from collections.abc import Callable, Sequence

from monitor.runtime import log
from monitor.types import Alert, Outcome, Preview, Verdict
from monitor.types.protocols import Sink

_log = log.get(__name__)


class Fanout:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink], outbox: Sink | None = None) -> None:
        """With an outbox, alerts go to it alone: it tells the others once they are committed."""
        self._sinks = sinks
        self._alerted = sinks if outbox is None else [outbox]

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Tell every sink that a call began."""
        self._tell(lambda sink: sink.call_started(call, ingest, participant))

    def window(self, call: str, outcome: Outcome) -> None:
        """Tell every sink of an outcome."""
        self._tell(lambda sink: sink.window(call, outcome))

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Tell every sink of a face track's begin or end."""
        self._tell(lambda sink: sink.face(call, participant, time, found))

    def preview(self, call: str, preview: Preview) -> None:
        """Tell every sink of something to look at."""
        self._tell(lambda sink: sink.preview(call, preview))

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Tell every sink of a verdict."""
        self._tell(lambda sink: sink.verdict(call, verdict))

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Tell every sink what the challenger made of the same window."""
        self._tell(lambda sink: sink.compared(call, verdict, challenger))

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Tell every sink of a pause, or of its end."""
        self._tell(lambda sink: sink.paused(call, participant, time, reason))

    def alert(self, alert: Alert) -> None:
        """Tell the outbox of an alert, or, without one, every sink."""
        self._tell(lambda sink: sink.alert(alert), self._alerted)

    def call_ended(self, call: str, reason: str) -> None:
        """Tell every sink that a call is over."""
        self._tell(lambda sink: sink.call_ended(call, reason))

    def _tell(self, message: Callable[[Sink], None], sinks: Sequence[Sink] | None = None) -> None:
        for sink in self._sinks if sinks is None else sinks:
            try:
                message(sink)
            except Exception:  # noqa: BLE001
                _log.exception("sink failed", sink=type(sink).__name__)
