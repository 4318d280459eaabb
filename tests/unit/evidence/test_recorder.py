"""What a bundle is made of, and that a call that is over leaves nothing in memory."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from monitor.evidence.bundle import Draft
from monitor.evidence.recorder import MOST_WINDOWS, Limits, Recorder
from monitor.types import (
    Abstention,
    AbstentionReason,
    AlarmState,
    Alert,
    AlertAction,
    AlertType,
    Gap,
    LostReason,
    Seconds,
    Span,
    Verdict,
)
from tests.unit.evidence.media import mixed, pictures, sound

VERDICT = Verdict(
    "remote", 20.0, AlarmState.ALERT, AlertType.VOICE, 5.0, 9.0, 0.01, 3.0,
    Seconds(10.0, {"silence": 4.0}, {"paused": 6.0}),
)  # fmt: skip
RAISED = Alert(
    "call", "remote", AlertType.VOICE, AlarmState.ALERT, AlertAction.RAISED, 1,
    "2026-01-01T00:00:00Z", Span(3.0, 20.0), False, VERDICT, (), {"voice": "abc"}, "def",
)  # fmt: skip


def outcome(start: float) -> Abstention:
    span = Span(start, start + 1)
    lost = (Gap("remote", span, LostReason.NETWORK),)
    return Abstention(
        detector="voice", participant="remote", span=span, fresh=span, lost=lost,
        reason=AbstentionReason.GAP,
    )  # fmt: skip


class Made(list[Draft]):
    def put(self, make: Callable[[], Draft]) -> None:
        self.append(make())


def recorder(made: Made, limits: Limits | None = None) -> Recorder:
    wall = datetime(2026, 1, 1, tzinfo=UTC)
    return Recorder(limits or Limits(), {"models": {"voice": "abc"}}, made.put, lambda: wall)


def test_the_parts_of_a_bundle() -> None:
    made = Made()
    recording = recorder(made)
    keep = recording.open("call", lambda participant: True)
    for packet in mixed(sound("opus", 3.0), pictures("vp8", 3.0)):
        keep(packet)
    recording.window("call", outcome(0.0))
    recording.paused("call", "remote", 5.0, "payment")
    recording.paused("call", "remote", 7.0, "consent")
    recording.paused("call", "remote", 9.0, None)
    recording.paused("call", "remote", 12.0, "payment")
    recording.alert(RAISED)
    (draft,) = made
    names = ["README.txt", "alert.json", "windows.jsonl", "seconds.json", "models.json"]
    assert list(draft.parts) == [*names, "media.mkv"]
    seconds = json.loads(draft.parts["seconds.json"])
    assert seconds["unmonitored"] == 10.0
    assert seconds["lost_by_reason"] == {"paused": 6.0}
    assert [(p["start"], p["end"], p["reason"]) for p in seconds["pauses"]] == [
        (5.0, 7.0, "payment"), (7.0, 9.0, "consent"), (12.0, None, "payment")
    ]  # fmt: skip
    window = json.loads(draft.parts["windows.jsonl"])
    assert window["lost"] == [{"start": 0.0, "end": 1.0, "reason": "network"}]
    assert draft.subject["alert"] == RAISED.id
    assert draft.subject["clip"]["end"] > 2.9
    for name in draft.parts:
        assert name in draft.parts["README.txt"].decode() or name == "README.txt"


def test_only_raised_alerts_of_wanted_tiers_make_bundles() -> None:
    made = Made()
    recording = recorder(made, Limits(tiers=frozenset({AlarmState.ALERT})))
    recording.open("call", lambda participant: participant == "remote")
    recording.alert(replace(RAISED, action=AlertAction.UPDATED))
    recording.alert(replace(RAISED, action=AlertAction.CLEARED))
    recording.alert(replace(RAISED, tier=AlarmState.REVIEW))
    recording.alert(replace(RAISED, call="another"))
    recording.alert(replace(RAISED, participant="agent"))
    assert made == []
    recording.alert(RAISED)
    (draft,) = made
    assert draft.subject["clip"] is None
    assert not [name for name in draft.parts if name.startswith("media")]


def test_memory_is_bounded_and_freed() -> None:
    made = Made()
    recording = recorder(made, Limits(most_bytes=5000))
    keep = recording.open("call", lambda participant: participant != "agent")
    for packet in [*sound("opus", 10.0), *sound("opus", 1.0, participant="agent")]:
        keep(packet)
    assert 4000 < recording.size <= 5000
    for number in range(MOST_WINDOWS + 10):
        recording.window("call", outcome(float(number)))
    recording.alert(RAISED)
    assert made[0].parts["windows.jsonl"].count(b"\n") == MOST_WINDOWS
    recording.call_ended("call", "ended")
    assert recording.size == 0
    keep(sound("opus", 0.1)[0])
    recording.alert(RAISED)
    assert (recording.size, len(made)) == (0, 1)
