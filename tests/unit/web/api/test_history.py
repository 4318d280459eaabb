"""The past minutes of a call, for who opens its page late."""

from monitor.types import AlarmState, AlertType, Seconds, Verdict
from monitor.web.api.history import ENDED, EVENTS, History


def verdict(time: float) -> Verdict:
    return Verdict(
        "remote", time, AlarmState.NORMAL, AlertType.VOICE, 1.0, 0.5, 0.2, None,
        Seconds(time, {}, {}), {"alert": 4.0},
    )  # fmt: skip


def test_it_is_what_the_stream_had_and_bounded() -> None:
    history = History()
    history.call_started("call", "file", "remote")
    for second in range(EVENTS + 10):
        history.verdict("call", verdict(second))
    records = history.of("call")
    assert len(records) == EVENTS
    assert records[-1]["type"] == "verdict"
    assert records[-1]["time"] == EVENTS + 9
    assert records[-1]["thresholds"] == {"alert": 4.0}


def test_ended_calls_are_forgotten_in_their_order() -> None:
    history = History()
    for number in range(ENDED + 2):
        history.call_started(f"call{number}", "file", "remote")
        history.verdict(f"call{number}", verdict(1.0))
    for number in range(ENDED + 2):
        history.call_ended(f"call{number}", "ended")
    assert history.of("call1") == []
    assert history.of("call2")
    history.verdict("call0", verdict(2.0))
    assert history.of("call0") == []
