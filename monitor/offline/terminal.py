"""One call shown live in a terminal: state, scores, and what was not monitored."""

from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitor.calls.call import Call
from monitor.calls.stages import Stages
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import NullSink
from monitor.metrics.sink import Metrics
from monitor.runtime.tasks import awaited
from monitor.types import Alert, Outcome, Score, Verdict
from monitor.types.protocols import Source

_COLOURS = {"warming": "grey62", "normal": "dodger_blue2", "review": "orange1", "alert": "red1"}
_ROWS = 12


class View(NullSink):
    """Keeps the latest of a call and draws it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._windows: deque[Outcome] = deque(maxlen=_ROWS)
        self._alerts: deque[Alert] = deque(maxlen=4)
        self._verdict: Verdict | None = None
        self._face = "none found"

    def window(self, call: str, outcome: Outcome) -> None:
        """Take a window in."""
        if outcome.detector == "voice":
            self._windows.append(outcome)
        elif "face_px" in outcome.quality:
            self._face = f"{outcome.quality['face_px']:.0f} px wide"

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Take a face's coming or going in."""
        if not found:
            self._face = f"lost at {time:.1f} s"

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Take a verdict in."""
        self._verdict = verdict

    def alert(self, alert: Alert) -> None:
        """Take an alert in."""
        self._alerts.append(alert)

    def __rich__(self) -> RenderableType:
        verdict = self._verdict
        if verdict is None:
            return Panel("waiting for media", title=self._title)
        seconds = verdict.seconds
        head = Text.assemble(
            (f" {verdict.state} ", f"bold white on {_COLOURS[verdict.state]}"),
            f"  {verdict.time:7.1f} s   statistic {verdict.statistic:+.2f}",
            f"   p {verdict.p_value:.3f}" if verdict.p_value is not None else "",
            f"   scored {seconds.scored:.0f} s   not monitored {seconds.unmonitored:.0f} s",
            f"   face {self._face}",
        )
        table = Table("span (s)", "speech (s)", "score", "LLR", "", box=None, pad_edge=False)
        for outcome in self._windows:
            table.add_row(*_row(outcome))
        alerts = [
            Text(
                f"{a.tier} {a.action} at {a.verdict.time:.1f} s, from {a.span.start:.1f} s"
                + ("" if a.certified else " (tier not certified)"),
                _COLOURS[a.tier],
            )
            for a in self._alerts
        ]
        return Panel(Group(head, "", table, *alerts), title=self._title)


def _row(outcome: Outcome) -> tuple[str, str, str, str, RenderableType]:
    span = f"{outcome.span.start:.1f}-{outcome.span.end:.1f}"
    speech = f"{outcome.quality.get('speech_seconds', 0):.1f}"
    if isinstance(outcome, Score):
        colour = "red1" if outcome.llr > 0 else "dodger_blue2"
        bar = Text("█" * max(1, round(abs(outcome.llr) * 6)), colour)
        return span, speech, f"{outcome.value:+.2f}", f"{outcome.llr:+.2f}", bar
    return span, speech, "-", "-", Text(str(getattr(outcome, "reason", "")), "grey62")


async def watch(title: str, source: Source, stages: Stages, metrics: Metrics) -> str:
    """Show a call until it ends; return what went wrong, or an empty string."""
    view = View(title)
    call = Call(
        id="watch",
        source=source,
        stages=stages,
        sink=Fanout([view, metrics]),
        metrics=metrics,
        participant="remote",
    )
    with Live(view, console=Console(), refresh_per_second=4):
        reason = await awaited("call", call.run())
    return "" if reason in ("ended", "truncated", "stopped") else call.detail or reason
