"""Alerts that tests make up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.schema import wire
from monitor.schema.messages import Message
from monitor.types import (
    Advice,
    AlarmState,
    Alert,
    AlertAction,
    AlertType,
    Allowance,
    Guidance,
    Seconds,
    Span,
    Verdict,
)

ALLOWED = Allowance("announcements", "our own prompts", "2099-01-01T00:00:00+00:00")


def alert(
    sequence: int = 1,
    tier: AlarmState = AlarmState.ALERT,
    call: str = "c",
    action: AlertAction = AlertAction.RAISED,
    participant: str = "remote",
    state: AlarmState | None = None,
) -> Alert:
    """An alert about a voice; `state` is where it leaves the participant."""
    seconds = Seconds(10.0, {"silence": 2.0}, {})
    verdict = Verdict(
        participant, 12.0, state or tier, AlertType.VOICE, 7.5, 6.0, 0.01, 3.0, seconds
    )
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=sequence)
    return Alert(
        call=call, participant=participant, type=AlertType.VOICE, tier=tier,
        action=action, sequence=sequence, raised_at=at.isoformat(timespec="milliseconds"),
        span=Span(3.0, 12.0), certified=False, verdict=verdict, evidence=(), models={},
        calibration="x", guidance=Guidance(Advice.HUMAN_REVIEW),
    )  # fmt: skip


def allowed(found: Alert) -> Alert:
    """The same about a participant who may be synthetic."""
    return replace(found, guidance=Guidance(Advice.CONTINUE, ALLOWED))


def message(found: Alert, number: int = 1, destination: str = "test") -> Message:
    """The alert on its way."""
    return Message(
        number, destination, found.idempotency_key, found.call, 0, 0.0, wire.alert(found)
    )
