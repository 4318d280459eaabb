"""Media time becomes call time, through jumps and drift."""

import pytest

from monitor.clock import MediaClock


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_media_is_now() -> None:
    time = Time()
    time.now = 0.4
    clock = MediaClock(time)
    assert clock.time(1234.0) == pytest.approx(0.4)
    time.now = 0.9
    assert clock.time(1234.25) == pytest.approx(0.65)


def test_a_jump_of_the_sender_is_anchored_anew() -> None:
    time = Time()
    clock = MediaClock(time)
    clock.time(100.0)
    time.now = 10.0
    assert clock.time(90_000.0) == pytest.approx(10.0)
    time.now = 10.02
    assert clock.time(90_000.02) == pytest.approx(10.02)


def test_a_small_burst_keeps_its_own_time() -> None:
    clock = MediaClock(Time())
    assert [clock.time(i / 10) for i in range(15)] == pytest.approx([i / 10 for i in range(15)])


def test_call_time_does_not_run_backwards_at_a_new_anchor() -> None:
    time = Time()
    clock = MediaClock(time)
    for i in range(20):
        clock.time(i / 10)  # a burst: call time is ahead of the monotonic clock
    time.now = 0.5
    assert clock.time(5000.0) >= 1.9 - 1e-6
