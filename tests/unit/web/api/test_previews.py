"""What is shown of a call: only what somebody asked for while it went on, and a minute of it."""

from collections.abc import Callable

import numpy as np

from monitor.types import PREVIEW_SIDE, AudioPreview, FacePreview
from monitor.web.api.previews import INTEREST, JUDGED, KEPT, LINGER, MOST_ENDED, Previews


class Clock:
    """Time that tests move, with what is due later."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def later(self, after: float, do: Callable[[], None]) -> None:
        self.due.append((self.time + after, do))

    def pass_by(self, seconds: float) -> None:
        until = self.time + seconds
        while ready := [d for d in self.due if d[0] <= until]:
            first = min(ready, key=lambda d: d[0])
            self.due.remove(first)
            self.time = first[0]
            first[1]()
        self.time = until


def made() -> tuple[Previews, Clock]:
    clock = Clock()
    return Previews(lambda: clock.time, clock.later), clock


def sound(start: float, end: float) -> AudioPreview:
    bands = np.zeros((round((end - start) * 10), 64), np.uint8)
    return AudioPreview("remote", start, end, bands)


def face(time: float, judged: bool) -> FacePreview:
    crop = np.zeros((3, PREVIEW_SIDE, PREVIEW_SIDE), np.uint8)
    return FacePreview("remote", time, crop, np.zeros((7, 7), np.uint8) if judged else None)


def test_a_call_is_looked_at_for_a_while_after_each_request() -> None:
    previews, clock = made()
    assert not previews.wanted("call")
    previews.look("call", "remote")
    clock.pass_by(INTEREST - 1)
    assert previews.wanted("call")
    assert not previews.wanted("other")
    previews.look("call", "remote")
    clock.pass_by(INTEREST - 1)
    assert previews.wanted("call")
    clock.pass_by(2)
    assert not previews.wanted("call")


def test_a_minute_of_sound_and_one_face_are_kept() -> None:
    previews, _ = made()
    previews.look("call", "remote")
    for second in range(200):
        previews.preview("call", sound(second, second + 1))
        previews.preview("call", face(second, judged=True))
    heard, shown = previews.look("call", "remote")
    assert heard[-1].end == 200
    assert KEPT <= heard[-1].end - heard[0].start <= KEPT + 1
    assert shown is not None
    assert shown.time == 199
    assert previews.look("call", "somebody else") == ([], None)


def test_a_picture_with_a_heat_map_stays_while_it_is_young() -> None:
    previews, _ = made()
    previews.look("call", "remote")
    previews.preview("call", face(1.0, judged=True))
    previews.preview("call", face(1.0 + JUDGED, judged=False))
    shown = previews.look("call", "remote")[1]
    assert shown is not None
    assert shown.time == 1.0
    previews.preview("call", face(1.1 + JUDGED, judged=False))
    shown = previews.look("call", "remote")[1]
    assert shown is not None
    assert shown.heatmap is None


def test_nothing_is_kept_of_a_call_that_nobody_asked_for() -> None:
    previews, clock = made()
    previews.preview("call", sound(0, 1))
    assert previews.look("call", "remote") == ([], None)
    assert clock.due


def test_all_is_dropped_a_while_after_the_end_and_a_minute_after_the_last_look() -> None:
    previews, clock = made()
    for call in ("ends", "left"):
        previews.look(call, "remote")
        previews.preview(call, sound(0, 1))
    previews.call_ended("ends", "ended")
    assert not previews.wanted("ends")
    clock.pass_by(KEPT)
    assert not previews.kept("left", "remote")[0]
    clock.pass_by(LINGER - KEPT - 1)
    assert previews.kept("ends", "remote")[0], "nobody has to ask again and again"
    clock.pass_by(1)
    assert not previews.kept("ends", "remote")[0]
    clock.pass_by(2 * KEPT)
    assert not previews._shown
    assert not previews._asked
    assert not previews._ended


def test_calls_that_ended_first_give_way() -> None:
    previews, _ = made()
    for number in range(MOST_ENDED + 3):
        call = f"call{number}"
        previews.look(call, "remote")
        previews.preview(call, sound(0, 1))
        previews.call_ended(call, "ended")
        previews.preview(call, sound(1, 2))
    kept = [n for n in range(MOST_ENDED + 3) if previews.kept(f"call{n}", "remote")[0]]
    assert kept == list(range(3, MOST_ENDED + 3))
    assert len(previews.kept("call5", "remote")[0]) == 1, "nothing is made after the end"


def test_a_call_without_pictures_leaves_nothing_behind() -> None:
    previews, _ = made()
    previews.look("call", "remote")
    previews.call_ended("call", "ended")
    assert not previews._shown
    assert not previews._asked
    assert not previews._ended


def test_who_keeps_looking_loses_nothing() -> None:
    previews, clock = made()
    for _ in range(30):
        previews.look("call", "remote")
        previews.preview("call", sound(clock.time, clock.time + 1))
        clock.pass_by(5)
    assert previews.look("call", "remote")[0]
