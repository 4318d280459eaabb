"""Two tracks, two clocks, one time."""

import pytest

from monitor.ingest.alignment import TrackClock, unwrapped


def test_timestamps_unwrap_to_the_nearest() -> None:
    assert unwrapped(5, 2**32 - 5) == 2**32 + 5
    assert unwrapped(2**32 - 5, 5) == -5
    assert unwrapped(100, 3 * 2**32 + 50) == 3 * 2**32 + 100


def test_time_is_anchored_where_the_first_packet_arrived() -> None:
    clock = TrackClock()
    assert clock.time(1000.0, 0.5) == pytest.approx(0.5)
    assert clock.time(1000.02, 0.61) == pytest.approx(0.52)


def test_a_jump_of_timestamps_is_answered_with_a_new_anchor() -> None:
    clock = TrackClock()
    clock.time(1000.0, 0.0)
    assert clock.time(5.0, 1.0) == pytest.approx(1.0)


def test_reports_of_both_tracks_align_them() -> None:
    audio = TrackClock()
    video = TrackClock(audio)
    # Sent at the same moment; the picture took 150 ms longer.
    audio.time(10.0, 1.0)
    assert video.time(70.0, 1.15) == pytest.approx(1.15)
    assert not video.aligned
    audio.report(10.0, 5000.0)
    video.report(70.0, 5000.0)
    # It would have to go back by 150 ms: it waits.
    assert video.time(70.04, 1.19) == pytest.approx(1.15)
    assert video.time(70.2, 1.35) == pytest.approx(1.2)
    assert video.aligned


def test_correction_forward_happens_at_once() -> None:
    audio = TrackClock()
    video = TrackClock(audio)
    audio.time(10.0, 1.3)
    video.time(70.0, 1.0)
    audio.report(10.0, 5000.0)
    video.report(70.0, 5000.0)
    assert video.time(70.1, 1.1) == pytest.approx(1.4)


def test_one_wrong_report_among_several_does_no_harm() -> None:
    audio = TrackClock()
    video = TrackClock(audio)
    audio.time(0.0, 0.0)
    video.time(0.0, 0.0)
    for second in range(5):
        audio.report(second, 5000.0 + second)
        video.report(second, 5000.0 + second + (0.7 if second == 2 else 0.0))
    assert video.time(6.0, 6.0) == pytest.approx(6.0)


def test_reports_that_cannot_be_true_are_disbelieved() -> None:
    audio = TrackClock()
    video = TrackClock(audio)
    audio.time(0.0, 0.0)
    audio.report(0.0, 5000.0)
    video.report(0.0, 9000.0)
    assert video.time(0.0, 0.1) == pytest.approx(0.1)
    assert not video.aligned


def test_a_restart_forgets_reports_and_does_not_go_back() -> None:
    audio = TrackClock()
    video = TrackClock(audio)
    audio.time(0.0, 0.0)
    video.time(0.0, 0.0)
    latest = video.time(1.0, 1.0)
    audio.report(0.0, 1.0)
    video.report(0.0, 1.0)
    video.restart()
    assert video.time(900.0, 0.9) >= latest
