from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.analysis.face_windows import FaceScores, FaceWindower
from monitor.analysis.faces import FaceFrame, TrackedFace
from monitor.types import FaceWindow, Span


def seen(time: float, width: float = 120.0, lost: bool = False) -> FaceFrame:
    crop = np.full((3, 224, 224), int(time) % 256, np.uint8) if width >= 80 else None
    quality = {"face_px": width, "sharpness": 100.0 + time}
    face = TrackedFace(np.zeros(4), np.zeros((5, 2)), 1.0, crop, quality)
    return FaceFrame("anna", time, face, (), found=False, lost=lost)


def unseen(time: float, lost: bool = False) -> FaceFrame:
    return FaceFrame("anna", time, None, (), found=False, lost=lost)


def scores(frame: FaceFrame) -> FaceScores:
    """The time of each crop in the place of a logit: it tells which crops a window holds."""
    shown = frame.face is not None and frame.face.crop is not None
    return FaceScores(frame.time if shown else None)


def at(rate: float, start: float, end: float) -> list[float]:
    return [start + i / rate for i in range(round((end - start) * rate))]


def windows(
    frames: Iterable[FaceFrame], end: float | None = None, hop: float = 1.0
) -> list[FaceWindow]:
    windower = FaceWindower("anna", hop=hop)
    out = [window for frame in frames for window in windower.push(frame, scores(frame))]
    return out + (list(windower.flush(end)) if end is not None else [])


def accounted(found: list[FaceWindow], start: float) -> list[Span]:
    """What each window adds to those before it."""
    spans = []
    for window in found:
        assert window.span.start <= start + 1e-9
        assert window.span.end > start
        spans.append(Span(start, window.span.end))
        start = window.span.end
    return spans


def test_windows_end_on_the_grid_of_the_call() -> None:
    found = windows(seen(t) for t in at(5, 0, 6.2))
    assert [w.span for w in found] == [Span(0, 3), Span(1, 4), Span(2, 5), Span(3, 6)]
    assert [w.frames for w in found] == [15] * 4
    assert found[1].logits.tolist() == pytest.approx(at(5, 1, 4))
    assert found[1].shown


def test_a_window_appears_with_the_first_picture_at_or_after_its_end() -> None:
    windower = FaceWindower("anna")
    for time in at(5, 0, 3):
        assert list(windower.push(seen(time), scores(seen(time)))) == []
    (window,) = windower.push(seen(3.0), scores(seen(3.0)))
    assert window.span == Span(0, 3)
    assert 3.0 not in window.logits


def test_quality_is_aggregated() -> None:
    frames = [seen(0.1, 100), seen(0.9, 120), seen(1.7, 150), unseen(2.5, lost=True), unseen(3.3)]
    (window,) = windows(frames)
    assert window.frames == 4
    assert window.quality == {
        "found_share": 0.75,
        "faces_lost": 1.0,
        "faces": 1.0,
        "face_px": 120.0,
        "sharpness": pytest.approx(100.9),
    }


def test_without_a_face_a_window_has_no_logits_and_no_face_quality() -> None:
    (window,) = windows(unseen(t) for t in at(5, 0, 3.2))
    assert window.frames == 15
    assert window.logits.shape == (0,)
    assert not window.shown
    assert window.quality == {"found_share": 0.0, "faces_lost": 0.0}


def test_too_small_faces_are_measured_but_not_shown() -> None:
    (window,) = windows(seen(t, width=50) for t in at(5, 0, 3.2))
    assert window.logits.shape == (0,)
    assert not window.shown
    assert window.quality["face_px"] == 50
    assert window.quality["found_share"] == 1.0


def test_a_late_joiner_stays_on_the_grid() -> None:
    found = windows((seen(t) for t in at(5, 10.3, 15.1)), end=15.1)
    assert [w.span for w in found] == [Span(10.3, 13), Span(11, 14), Span(12, 15), Span(12.1, 15.1)]


def test_irregular_times_are_counted_as_they_are() -> None:
    (window,) = windows([seen(0), seen(0.05), seen(2.95), seen(3.4)])
    assert window.logits.tolist() == pytest.approx([0, 0.05, 2.95])


def test_a_minute_without_pictures_is_one_window() -> None:
    found = windows([seen(t) for t in [*at(5, 0, 10), *at(5, 70.5, 74.1)]], end=74.1)
    gap = [w for w in found if w.frames == 0]
    assert [w.span for w in gap] == [Span(12, 70)]
    assert [w.span.end for w in found] == [*range(3, 13), 70, 71, 72, 73, 74, 74.1]
    assert found[11].span == Span(70, 71)
    assert accounted(found, 0.0)[-1].end == 74.1


def test_a_broken_time_stamp_costs_one_window() -> None:
    found = windows([seen(0), seen(1), seen(2), seen(1e9)])
    assert [w.span.end for w in found] == [3, 4, 5, 1e9]
    assert [w.frames for w in found] == [3, 2, 1, 0]


def test_late_pictures_join_open_windows_only() -> None:
    windower = FaceWindower("anna")
    for time in (0.0, 1.0, 2.0, 3.5):
        list(windower.push(seen(time), scores(seen(time))))
    assert list(windower.push(seen(2.5), scores(seen(2.5)))) == []
    assert list(windower.push(seen(0.5), scores(seen(0.5)))) == []
    (window,) = windower.push(seen(4.0), scores(seen(4.0)))
    assert window.logits.tolist() == [1.0, 2.0, 2.5, 3.5]


def test_flush_ends_with_the_video() -> None:
    found = windows((seen(t) for t in at(5, 0, 4.4)), end=4.4)
    assert [w.span for w in found] == [Span(0, 3), Span(1, 4), Span(1.4000000000000004, 4.4)]


def test_flush_accounts_for_a_silent_end() -> None:
    found = windows((seen(t) for t in at(5, 0, 4)), end=30.5)
    assert [(w.span.end, w.frames > 0) for w in found[-2:]] == [(30, False), (30.5, False)]
    assert accounted(found, 0.0)[-1].end == 30.5


def test_a_short_video_is_one_window() -> None:
    (window,) = windows((seen(t) for t in at(5, 0, 2)), end=2.0)
    assert window.span == Span(0, 2)
    assert window.frames == 10


def test_flush_of_nothing_is_nothing() -> None:
    assert windows([], end=20.0) == []


@given(
    start=st.floats(0, 20),
    steps=st.lists(
        st.one_of(st.floats(0.01, 0.5), st.floats(0.01, 9), st.floats(50, 90)), max_size=40
    ),
    rest=st.floats(0, 10),
    hop=st.sampled_from([0.5, 1.0]),
)
def test_every_second_is_accounted_for_once(
    start: float, steps: list[float], rest: float, hop: float
) -> None:
    times = (start + np.cumsum([0.0, *steps])).tolist()
    end = times[-1] + rest
    found = windows((unseen(time) for time in times), end, hop)
    spans = accounted(found, start)
    assert (spans[-1].end if spans else start) == pytest.approx(end)
    for window in found:
        inside = sum(window.span.start <= time < window.span.end for time in times)
        assert window.frames == inside
