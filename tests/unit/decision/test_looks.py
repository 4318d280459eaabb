"""A second look runs where it pays, once for several windows, and says what it rests on."""

from dataclasses import replace

import numpy as np

from monitor.decision.looks import Looks
from monitor.types import LOOKS, AbstentionReason, AudioWindow, Fusion, LookRule, Span

NARROW, WIDE = {"bandwidth_hz": 3400.0}, {"bandwidth_hz": 7000.0}


class Counted:
    """A second look that gives each window's number of the call."""

    rule = LookRule(Fusion(1.0, 1.0, 0.0), Fusion(1.0, 0.5, 10.0), certain=2.0, every=3.0)

    def __init__(self) -> None:
        self.looked: list[float] = []

    def logit(self, window: AudioWindow) -> float:
        self.looked.append(window.span.start)
        return window.span.start


def window(start: float, quality: dict[str, float], missing: float = 0.0) -> AudioWindow:
    span = Span(start, start + 3)
    samples = np.zeros(48_000, np.float32)
    return AudioWindow(
        "p", span, Span(start + 2, start + 3), samples, 2.5, missing, quality=quality
    )


def heard(
    second: Counted | None, windows: list[AudioWindow], first: float | AbstentionReason = 4.0
) -> list[tuple[float | AbstentionReason, float | None]]:
    looks, found = Looks(second), []
    for it in windows:
        if looks.due(it, first):
            looks.look(it)
        value, quality = looks.fused(it, first)
        found.append((value, quality.get(LOOKS)))
    return found


def test_a_telephone_is_looked_at_once_in_three_windows_and_what_was_found_is_held() -> None:
    second = Counted()
    found = heard(second, [window(i, NARROW) for i in range(7)])
    assert second.looked == [0, 3, 6]
    assert found == [(4 + i // 3 * 3, 2) for i in range(7)]


def test_a_clear_window_is_left_alone_and_a_doubtful_one_is_not() -> None:
    second = Counted()
    assert heard(second, [window(0, WIDE)], first=-2.0) == [(-2.0, 1)]
    assert second.looked == []
    assert heard(second, [window(4, WIDE)], first=-1.9) == [(-1.9 + 2 + 10, 2)]


def test_lost_packets_are_worth_a_look() -> None:
    second = Counted()
    assert heard(second, [window(2, WIDE, missing=0.1)]) == [(4 + 1 + 10, 2)]


def test_what_was_found_is_not_held_over_a_pause() -> None:
    second = Counted()
    heard(second, [window(0, NARROW), window(30, NARROW), window(31, NARROW)])
    assert second.looked == [0, 30]


def test_a_look_that_was_not_taken_leaves_the_first() -> None:
    looks = Looks(Counted())
    it = window(0, NARROW)
    assert looks.due(it, 1.0)
    value, quality = looks.fused(it, 1.0)
    assert (value, quality[LOOKS]) == (1.0, 1)


def test_a_look_that_found_no_number_leaves_the_first() -> None:
    class Broken(Counted):
        def logit(self, window: AudioWindow) -> float:
            return float("nan")

    assert heard(Broken(), [window(0, NARROW)]) == [(4.0, 1)]


def test_an_abstention_is_not_looked_at() -> None:
    second = Counted()
    silence = AbstentionReason.SILENCE
    assert heard(second, [window(0, NARROW)], silence) == [(silence, None)]
    assert second.looked == []


def test_without_a_second_look_nothing_is_said_of_looks() -> None:
    assert heard(None, [window(0, NARROW)]) == [(4.0, None)]
    assert not Looks(None).due(replace(window(0, NARROW)), 0.0)
