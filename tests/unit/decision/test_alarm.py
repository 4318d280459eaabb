"""Tiers rise at once, clear late, and stay quiet afterwards."""

from monitor.decision.alarm import Alarm, AlarmTiming, Transition
from monitor.types import AlarmState, AlertAction

TIMING = AlarmTiming()


THRESHOLDS = {"review": 4.0, "alert": 7.0}


def alarm() -> Alarm:
    return Alarm(THRESHOLDS, TIMING)


def update(a: Alarm, statistic: float, scored_seconds: float, time: float) -> list[Transition]:
    return a.update(statistic, THRESHOLDS, scored_seconds, time)


def test_nothing_is_decided_while_warming() -> None:
    a = alarm()
    assert a.state is AlarmState.WARMING
    assert update(a, 99, scored_seconds=5, time=5) == []
    assert update(a, 0, scored_seconds=6, time=6) == []
    assert str(a.state) == "normal"


def test_both_tiers_rise_in_order() -> None:
    a = alarm()
    changes = update(a, 8, scored_seconds=10, time=10)
    assert [(c.tier, c.action) for c in changes] == [
        (AlarmState.REVIEW, AlertAction.RAISED),
        (AlarmState.ALERT, AlertAction.RAISED),
    ]
    assert a.state is AlarmState.ALERT


def test_a_threshold_must_be_exceeded() -> None:
    assert update(alarm(), 4.0, scored_seconds=10, time=10) == []


def test_clearing_takes_a_margin_and_time_and_then_rests() -> None:
    a = alarm()
    update(a, 5, 10, time=10)
    assert update(a, 2.5, 20, time=20) == []  # above the clear level of 2
    assert update(a, 1, 30, time=30) == []
    assert update(a, 3, 40, time=40) == []  # starts the thirty seconds again
    assert update(a, 1, 50, time=50) == []
    (change,) = update(a, 1, 80, time=80)
    assert (change.action, change.sequence) == (AlertAction.CLEARED, 1)
    assert a.state is AlarmState.NORMAL
    assert update(a, 6, 90, time=90) == []  # cooling down
    (again,) = update(a, 6, 200, time=200)
    assert (again.action, again.sequence) == (AlertAction.RAISED, 2)
