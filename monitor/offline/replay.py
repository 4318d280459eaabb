"""One source through the live pipeline, without a service: records out, then a summary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.calls.call import Call
from monitor.calls.stages import Stages
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import NullSink
from monitor.metrics.sink import Metrics
from monitor.schema import wire
from monitor.schema.records import WindowRecord
from monitor.types import AlarmState, Alert, AlertAction, AlertType, Outcome, Verdict
from monitor.types.protocols import Source

ALONE = "remote"
"""What the only participant of a recording is called."""


@dataclass(slots=True)
class Standing:
    """One participant while a recording is replayed."""

    last: Verdict
    first_alarm_at: float | None = None
    worst: Alert | None = None
    """Of the gravest tier."""


@dataclass(slots=True)
class Recorder(NullSink):
    """Keeps what a summary needs and passes window records on."""

    emit: Callable[[WindowRecord], None] | None = None
    """Hears each window's record, in order."""
    standings: dict[str, Standing] = field(default_factory=dict)
    """By participant."""

    def window(self, call: str, outcome: Outcome) -> None:
        """Pass the window on."""
        if self.emit is not None:
            self.emit(wire.window(outcome))

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Remember the latest verdict."""
        self.standings.setdefault(verdict.participant, Standing(verdict)).last = verdict

    def alert(self, alert: Alert) -> None:
        """Remember the first alarm and the gravest tier."""
        standing = self.standings[alert.participant]
        if alert.action is not AlertAction.RAISED:
            return
        if standing.first_alarm_at is None:
            standing.first_alarm_at = alert.verdict.time
        if standing.worst is None or alert.tier.gravity > standing.worst.tier.gravity:
            standing.worst = alert


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay went."""

    verdicts: tuple[dict[str, Any], ...]
    """One for each participant."""
    problem: str
    """What was wrong with the source; empty if it could be replayed."""


async def replay(
    path: Path, source: Source, stages: Stages, metrics: Metrics, recorder: Recorder
) -> Replay:
    """Replay one recording; a verdict's state is the gravest that was reached."""
    call = Call(
        id=path.name,
        source=source,
        stages=stages,
        sink=Fanout([recorder, metrics]),
        metrics=metrics,
        participant=ALONE,
    )
    reason = await call.run()
    if reason in ("ended", "truncated") and recorder.standings:
        summaries = (
            _summary(path, reason, standing, stages, call.remarks)
            for standing in recorder.standings.values()
        )
        return Replay(tuple(summaries), "")
    return Replay((), call.detail or f"{path.name}: {reason}")


def _summary(
    path: Path, reason: str, standing: Standing, stages: Stages, remarks: Sequence[str]
) -> dict[str, Any]:
    worst, record = standing.worst, wire.verdict(standing.last)
    return {
        "type": "verdict",
        "file": str(path),
        "participant": record["participant"],
        # What was never decided is not called normal.
        "state": str(worst.tier) if worst else record["state"],
        "tier": str(worst.tier) if worst else None,
        "certified": worst.certified if worst else None,
        "llr": record["llr"],
        "p_value": record["p_value"],
        "onset": wire.span(worst.span)["start"] if worst else None,
        "first_alarm_at": standing.first_alarm_at,
        "ended": reason,
        "final_state": record["state"],
        "seconds": record["seconds"],
        "seconds_needed": stages.timing.warm_up,
        "remarks": list(remarks),
        "models": stages.judges.models,
        "calibration": stages.judges.policies[AlertType.VOICE].identity,
    }


def sentence(verdict: dict[str, Any]) -> str:
    """The summary for a person."""
    seconds = verdict["seconds"]
    unheard = seconds["abstained"] + seconds["lost"]
    name = verdict["participant"]
    who = "" if name == ALONE else f" ({name})"
    parts = [f"{verdict['file']}{who}: {verdict['state']}"]
    if verdict["tier"]:
        parts.append(
            f"first alarm at {verdict['first_alarm_at']:.1f} s, suspicious from "
            f"{verdict['onset']:.1f} s"
        )
        if not verdict["certified"]:
            parts.append("this tier's false-alarm rate is not certified")
    if verdict["p_value"] is not None:
        parts.append(f"{verdict['p_value']:.1%} of genuine reference calls go this far")
    parts.append(f"{seconds['scored']:.1f} s scored, {unheard:.1f} s not")
    if not seconds["scored"]:
        parts.append("nothing could be scored: this says nothing about the voice")
    elif verdict["final_state"] == str(AlarmState.WARMING):
        parts.append(f"{verdict['seconds_needed']:g} s must be scored before anything is decided")
    if verdict["ended"] == "truncated":
        parts.append("the recording is truncated")
    return "; ".join([*parts, *verdict["remarks"]])
