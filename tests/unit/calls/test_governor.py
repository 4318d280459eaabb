"""When the governor thins video, refuses calls, and goes back."""

import pytest

from monitor.calls.admission import CapacityError, Level
from monitor.calls.governor import Governor, GovernorOptions, Reading

EASE, LATE = Reading(0.0, 0.0), Reading(0.0, 1.0)
OPTIONS = GovernorOptions(loop_lag=0.1, inference_wait=0.2, rise_after=1.0, recover_after=10.0)


class Rig:
    """A governor whose clock the test moves."""

    def __init__(self, options: GovernorOptions = OPTIONS, limit: int = 5) -> None:
        self.levels: list[Level] = []
        self.governor = Governor(limit, options, self.levels.append)
        self.at = 100.0

    def spend(self, seconds: float, reading: Reading) -> None:
        for _ in range(round(seconds * 2)):
            self.at += 0.5
            self.governor.update(reading, self.at)


def test_an_idle_machine_is_not_thinned_and_takes_calls_up_to_its_slots() -> None:
    rig = Rig()
    rig.spend(60, EASE)
    assert rig.governor.level == Level.FULL
    assert rig.governor.free(3) == 2
    rig.governor.check(4)
    with pytest.raises(CapacityError, match="all 5 call slots") as full:
        rig.governor.check(5)
    assert full.value.reason == "capacity"


def test_one_late_moment_changes_nothing() -> None:
    rig = Rig()
    rig.spend(0.5, LATE)
    rig.governor.check(0)
    rig.spend(0.5, EASE)
    rig.spend(1, LATE)
    assert rig.levels == []
    assert rig.governor.free(0) == 5


def test_while_video_is_thinned_no_call_is_taken_and_the_reason_is_said() -> None:
    rig = Rig()
    rig.spend(1.5, LATE)
    assert rig.governor.free(0) == 0
    with pytest.raises(CapacityError, match=r"inference is 1\.00 s late \(governor") as late:
        rig.governor.check(0)
    assert late.value.reason == "overload"
    assert late.value.retry_after == 10


def test_lasting_lateness_rises_level_by_level_and_stays_at_the_last() -> None:
    rig = Rig()
    rig.spend(1.5, LATE)
    assert rig.levels == [Level.NO_CUES]
    rig.spend(10, LATE)
    assert rig.levels == [Level.NO_CUES, Level.FEW_LOOKS, Level.KEY_FRAMES]


def test_a_late_event_loop_counts_as_waiting_work_does() -> None:
    rig = Rig()
    rig.spend(1.5, Reading(0.12, 0.0))
    assert rig.levels == [Level.NO_CUES]
    with pytest.raises(CapacityError, match=r"event loop is 0\.12 s late \(governor.loop_lag\)"):
        rig.governor.check(0)


def test_it_goes_back_one_level_at_a_time_and_only_after_lasting_ease() -> None:
    rig = Rig()
    rig.spend(3, LATE)
    up = [Level.NO_CUES, Level.FEW_LOOKS]
    rig.spend(9, EASE)
    assert rig.levels == up
    rig.spend(2, EASE)
    assert rig.levels == [*up, Level.NO_CUES]
    with pytest.raises(CapacityError, match="video thinned"):
        rig.governor.check(0)
    rig.spend(10, EASE)
    assert rig.levels == [*up, Level.NO_CUES, Level.FULL]
    rig.governor.check(0)


def test_between_high_and_low_the_level_is_held() -> None:
    rig = Rig()
    rig.spend(1.5, LATE)
    for _ in range(20):
        rig.spend(5, EASE)
        rig.spend(0.5, Reading(0.0, 0.15))
    assert rig.levels == [Level.NO_CUES]


def test_switched_off_it_counts_slots_only() -> None:
    rig = Rig(GovernorOptions(enabled=False))
    rig.spend(60, LATE)
    assert rig.levels == []
    assert rig.governor.free(1) == 4
