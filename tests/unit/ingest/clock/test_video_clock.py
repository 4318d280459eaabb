"""Where pictures are placed: steps, pauses and drift of their stamps pass."""

from collections.abc import Callable

import pytest

from monitor.ingest.clock.video_clock import Reports, VideoClock


def shown(
    stamp: Callable[[float], float],
    arrives: Callable[[float], float] = lambda t: t,
    led: Callable[[float], float | None] = lambda t: None,
) -> list[tuple[float, float]]:
    """Moments of pictures at ten a second for a minute, and where each was placed."""
    clock, out = VideoClock(), list[tuple[float, float]]()
    for number in range(600):
        at = number / 10
        clock.take(stamp(at), arrives(at), led(at))
        out.append((at, clock.time(stamp(at))))
    return out


@pytest.mark.parametrize("step", [-60.0, -1.5, -0.5, 0.5, 1.5, 60.0])
def test_a_step_of_the_stamps_is_no_step_of_time(step: float) -> None:
    out = shown(lambda t: 7 + t + step * (t > 20))
    # A step back of half a second or less is known from the next second on.
    assert all(abs(at - moment) < 0.05 for moment, at in out if not 20 < moment < 21.2)
    assert all(abs(at - moment) < 0.55 for moment, at in out)


@pytest.mark.parametrize("drift", [0.01, -0.01])
def test_drift_is_followed(drift: float) -> None:
    assert all(abs(at - moment) < 0.1 for moment, at in shown(lambda t: t * (1 + drift)))


def test_a_stall_delays_no_picture() -> None:
    out = shown(lambda t: t, lambda t: max(t, 23.0) if 20 <= t < 23 else t)
    assert all(abs(at - moment) < 0.05 for moment, at in out)


def test_pictures_of_a_longer_way_are_shown_with_their_sound() -> None:
    out = shown(lambda t: t, lambda t: t + 0.4, lambda t: 0.0)
    assert all(abs(at - moment) < 0.01 for moment, at in out if moment > 5)


def test_reports_that_place_pictures_far_off_are_not_believed() -> None:
    out = shown(lambda t: t, led=lambda t: 180_000.0)
    assert all(abs(at - moment) < 0.01 for moment, at in out)


def test_one_wrong_report_changes_nothing() -> None:
    reports = Reports()
    for second in range(5):
        reports.add(float(second), 1000.0 + second + (50.0 if second == 2 else 0.0))
    assert reports.offset == 1000.0
    reports.clear()
    assert reports.offset is None


@pytest.mark.parametrize("leap", [-180_678.0, -7.0, -0.8, 0.8, 2.0, 7.0, 47_715.0, 180_678.0])
@pytest.mark.parametrize("at_once", [True, False])
def test_stamps_that_leap_at_the_first_report_move_no_picture(leap: float, at_once: bool) -> None:
    """FFmpeg 8.1 moves a track by what its sender reports are apart from the other's, and what was
    read while it was opened arrives at once (thingino-firmware#1072: 50 hours)."""
    clock, placed = VideoClock(), list[float]()
    for number in range(30):
        at = number / 10
        stamp = at + leap * (number > 2)
        leapt = clock.take(stamp, 101 if at_once and at < 1 else 100 + at)
        assert (leapt == pytest.approx(leap, abs=0.15)) if number == 3 else not leapt
        placed = [p + leapt for p in placed] + [stamp]
    assert clock.earliest == pytest.approx(100, abs=0.15)
    for number, each in enumerate(placed):
        assert clock.time(each) == pytest.approx(100 + number / 10, abs=0.15)


def test_pictures_that_are_seldom_or_paused_have_not_leapt() -> None:
    clock = VideoClock()
    stamps = [
        (-2.0, 0.0),
        (-1.0, 0.0),
        (0.0, 0.0),
        (3.0, 3.0),
        (3.5, 3.5),
        (33.5, 33.5),
        (34.0, 37.0),
        (34.5, 37.0),
    ]
    assert [clock.take(stamp, arrived) for stamp, arrived in stamps] == [0.0] * 8
