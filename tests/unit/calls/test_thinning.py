"""Which level held when."""

from monitor.calls.admission import Level
from monitor.calls.thinning import Thinning
from monitor.types import Span


def test_the_highest_level_in_any_part_of_a_span_counts() -> None:
    thinning = Thinning()
    thinning.change(10.0, Level.NO_CUES)
    thinning.change(12.0, Level.KEY_FRAMES)
    thinning.change(13.0, Level.FULL)
    assert thinning.level is Level.FULL
    assert thinning.most(Span(0, 10)) is Level.FULL
    assert thinning.most(Span(0, 10.1)) is Level.NO_CUES
    assert thinning.most(Span(5, 60)) is Level.KEY_FRAMES
    assert thinning.most(Span(12.9, 13.5)) is Level.KEY_FRAMES
    assert thinning.most(Span(13, 20)) is Level.FULL


def test_what_is_older_than_any_window_is_forgotten_but_not_what_still_holds() -> None:
    thinning = Thinning()
    thinning.change(10.0, Level.FEW_LOOKS)
    thinning.change(1000.0, Level.FULL)
    thinning.change(2000.0, Level.NO_CUES)
    assert thinning.most(Span(1500, 1600)) is Level.FULL
    assert thinning.most(Span(2000, 2001)) is Level.NO_CUES
