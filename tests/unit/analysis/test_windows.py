"""Frames in, windows out, every second accounted for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.analysis.windows import AudioWindower
from monitor.types import SAMPLE_RATE, AudioFrame, AudioWindow, Gap, LostReason, Span


def frame(start: float, duration: float, value: float = 0.5) -> AudioFrame:
    return AudioFrame("p", start, np.full(round(duration * SAMPLE_RATE), value, np.float32))


def run(*frames: AudioFrame | Gap, flush: bool = True) -> list[AudioWindow]:
    windower = AudioWindower("p")
    windows: list[AudioWindow] = []
    for item in frames:
        push = windower.gap(item) if isinstance(item, Gap) else windower.push(item)
        windows.extend(push)
    return windows + (list(windower.flush()) if flush else [])


def spans(windows: list[AudioWindow]) -> list[tuple[float, float]]:
    return [(w.span.start, w.span.end) for w in windows]


def test_windows_of_three_seconds_every_second() -> None:
    # 0    1    2    3    4    5
    # [==============)
    #      [==============)
    #           [==============)
    windows = run(frame(0, 5), flush=False)
    assert spans(windows) == [(0, 3), (1, 4), (2, 5)]
    assert [(w.fresh.start, w.fresh.end) for w in windows] == [(0, 3), (3, 4), (4, 5)]
    assert all(w.missing_seconds == 0 and len(w.samples) == 48_000 for w in windows)


def test_a_short_recording_gives_one_short_window() -> None:
    (window,) = run(frame(0, 1.7))
    assert window.span == Span(0, 1.7)
    assert len(window.samples) == round(1.7 * SAMPLE_RATE)


def test_the_tail_is_a_window_ending_with_the_audio() -> None:
    assert spans(run(frame(0, 4.5))) == [(0, 3), (1, 4), (1.5, 4.5)]


def test_frame_size_does_not_matter() -> None:
    samples = np.random.default_rng(1).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    whole = run(AudioFrame("p", 0, samples))
    pieces = run(*(AudioFrame("p", i / 50, samples[i * 320 : i * 320 + 320]) for i in range(250)))
    assert spans(whole) == spans(pieces)
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)


def test_a_short_hole_is_zeros_and_counted_lost_once() -> None:
    windows = run(frame(0, 2), frame(2.25, 3), flush=False)
    assert spans(windows) == [(0, 3), (1, 4), (2, 5)]
    assert [w.missing_seconds for w in windows] == [0.25, 0.25, 0.25]
    assert [sum(g.span.duration for g in w.lost) for w in windows] == [0.25, 0, 0]
    assert not windows[0].samples[2 * SAMPLE_RATE : 2 * SAMPLE_RATE + 4000].any()
    assert windows[0].lost[0].reason is LostReason.NETWORK


def test_a_long_gap_becomes_one_empty_window() -> None:
    # media until 5.4, nothing until 70.2: windows that still hold media come first,
    # then one window without samples up to the last whole second
    windows = run(frame(0, 5.4), frame(70.2, 5))
    empty = [w for w in windows if not len(w.samples)]
    assert [(w.fresh.start, w.fresh.end) for w in empty] == [(8, 70)]
    after = [w for w in windows if w.span.end > 70]
    assert after[0].span == Span(70, 71)
    assert after[0].missing_seconds == pytest.approx(0.2)
    assert sum(g.span.duration for w in windows for g in w.lost) == pytest.approx(64.8)


def test_a_named_gap_keeps_its_reason() -> None:
    windows = run(frame(0, 4), Gap("p", Span(4, 6), LostReason.RECONNECT), frame(6, 3))
    lost = [g for w in windows for g in w.lost]
    assert {g.reason for g in lost} == {LostReason.RECONNECT}
    assert sum(g.span.duration for g in lost) == pytest.approx(2)


def test_overlapping_audio_is_not_heard_twice() -> None:
    windows = run(frame(0, 2), frame(1.5, 2), flush=False)
    assert spans(windows) == [(0, 3)]
    windows = run(frame(0, 2), frame(0.5, 1))
    assert windows[-1].span.end == 2


def test_windows_of_sound_that_was_corrected_say_so() -> None:
    stretched = replace(frame(4, 1), corrected=0.08)
    windows = run(frame(0, 4), stretched, frame(5, 6))
    told = {w.span.end: w.corrected_seconds for w in windows if w.corrected_seconds}
    assert told == {5.0: pytest.approx(0.08), 6.0: pytest.approx(0.08), 7.0: pytest.approx(0.08)}


def test_what_the_windower_leaves_out_is_told_by_the_windows_around_it() -> None:
    windows = run(frame(0, 4), frame(3.5, 6))
    told = {w.span.end: w.corrected_seconds for w in windows if w.corrected_seconds}
    assert min(told) == 5.0
    assert told[5.0] == pytest.approx(0.5 / 5.5)


def test_rounded_timestamps_continue_the_stream() -> None:
    frames = [frame(i * 0.02 + (0.003 if i % 2 else 0), 0.02) for i in range(200)]
    assert all(w.missing_seconds == 0 for w in run(*frames))


def test_a_participant_who_joins_late_is_not_lost_before() -> None:
    windows = run(frame(60.3, 5))
    assert windows[0].fresh.start == pytest.approx(60.3)
    assert windows[0].span.end == 63
    assert not any(w.lost for w in windows)


@given(st.lists(st.tuples(st.floats(0, 8), st.floats(0.01, 6)), min_size=1, max_size=8))
def test_every_second_is_fresh_in_exactly_one_window(pieces: list[tuple[float, float]]) -> None:
    time, frames = 0.0, []
    for pause, duration in pieces:
        time += pause if pause > 0.1 else 0.0
        frames.append(frame(time, duration))
        time = frames[-1].end
    windows = run(*frames)
    assert windows[0].fresh.start == pytest.approx(frames[0].start, abs=1e-4)
    for before, after in zip(windows, windows[1:], strict=False):
        assert after.fresh.start == before.fresh.end
    assert windows[-1].fresh.end == pytest.approx(time, abs=1e-3)
    present = sum(len(f.samples) for f in frames) / SAMPLE_RATE
    lost = sum(g.span.duration for w in windows for g in w.lost)
    total = windows[-1].fresh.end - windows[0].fresh.start
    assert present + lost == pytest.approx(total, abs=0.025 * len(frames))
