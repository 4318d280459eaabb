"""One source through the live pipeline, without a service: records out, then a summary."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor import wire
from monitor.calls.call import Call
from monitor.calls.stages import Stages
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import NullSink
from monitor.metrics import Metrics
from monitor.protocols import Source
from monitor.records import WindowRecord
from monitor.types import AlarmState, Alert, AlertAction, AlertType, Outcome, Seconds, Verdict


@dataclass(slots=True)
class Recorder(NullSink):
    """Keeps what a summary needs and passes window records on."""

    emit: Callable[[WindowRecord], None] | None = None
    """Hears each window's record, in order."""
    first_alarm_at: float | None = None
    worst: Alert | None = None
    last: Verdict | None = None
    seconds: dict[str, Seconds] = field(default_factory=dict)

    def window(self, call: str, outcome: Outcome) -> None:
        """Pass the window on."""
        if self.emit is not None:
            self.emit(wire.window(outcome))

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Remember the latest verdict."""
        self.last = verdict
        self.seconds[verdict.participant] = verdict.seconds

    def alert(self, alert: Alert) -> None:
        """Remember the first alarm and the gravest tier."""
        if alert.action is not AlertAction.RAISED:
            return
        if self.first_alarm_at is None:
            self.first_alarm_at = alert.verdict.time
        if self.worst is None or alert.tier.gravity > self.worst.tier.gravity:
            self.worst = alert


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay went."""

    verdict: dict[str, Any]
    problem: str
    """What was wrong with the source; empty if it could be replayed."""


async def replay(
    path: Path, source: Source, stages: Stages, metrics: Metrics, recorder: Recorder
) -> Replay:
    """Replay one recording; the verdict's state is the gravest that was reached."""
    call = Call(
        id=path.name,
        source=source,
        stages=stages,
        sink=Fanout([recorder, metrics]),
        metrics=metrics,
        participant="remote",
    )
    reason = await call.run()
    if reason in ("ended", "truncated") and recorder.last is not None:
        return Replay(_summary(path, reason, recorder, recorder.last, stages), "")
    return Replay({}, call.detail or f"{path.name}: {reason}")


def _summary(
    path: Path, reason: str, recorder: Recorder, last: Verdict, stages: Stages
) -> dict[str, Any]:
    worst = recorder.worst
    record = wire.verdict(last)
    return {
        "type": "verdict",
        "file": str(path),
        "state": str(worst.tier) if worst else str(AlarmState.NORMAL),
        "tier": str(worst.tier) if worst else None,
        "certified": worst.certified if worst else None,
        "llr": record["llr"],
        "p_value": record["p_value"],
        "onset": wire.span(worst.span)["start"] if worst else None,
        "first_alarm_at": recorder.first_alarm_at,
        "ended": reason,
        "final_state": record["state"],
        "seconds": record["seconds"],
        "models": stages.judges.models,
        "calibration": stages.judges.policies[AlertType.VOICE].identity,
    }


def sentence(verdict: dict[str, Any]) -> str:
    """The summary for a person."""
    seconds = verdict["seconds"]
    unheard = seconds["abstained"] + seconds["lost"]
    parts = [f"{verdict['file']}: {verdict['state']}"]
    if verdict["tier"]:
        parts.append(
            f"first alarm at {verdict['first_alarm_at']:.1f} s, suspicious from "
            f"{verdict['onset']:.1f} s"
        )
        if not verdict["certified"]:
            parts.append("this tier's false-alarm rate is not certified")
    if verdict["p_value"] is not None:
        parts.append(f"{verdict['p_value']:.1%} of genuine reference calls go this far")
    else:
        parts.append("nothing could be scored: this says nothing about the voice")
    parts.append(f"{seconds['scored']:.1f} s scored, {unheard:.1f} s not")
    if verdict["final_state"] == str(AlarmState.WARMING) and verdict["p_value"] is not None:
        parts.append("too little speech for an alarm")
    if verdict["ended"] == "truncated":
        parts.append("the recording is truncated")
    return "; ".join(parts)
