"""When pictures are looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.types import Span
from monitor.types.sampling import Pace, Sampling


def test_bursts_come_at_the_beginning_and_then_by_call_time() -> None:
    sampling = Sampling(5, 15, 10, 30)
    assert [sampling.rate(t) for t in (0.0, 9.9, 10.0, 29.9, 30.0, 39.9, 40.0)] == [
        15, 15, 5, 5, 15, 15, 5,
    ]  # fmt: skip


def test_a_burst_is_never_slower_than_the_rest() -> None:
    assert Sampling(20, 15, 10, 30).rate(1.0) == 20


@pytest.mark.parametrize("every", [5.0, 10.0])
def test_bursts_that_meet_never_end(every: float) -> None:
    assert all(Sampling(5, 15, 10, every).bursting(t / 10) for t in range(500))


def test_steady_never_bursts() -> None:
    assert not any(Sampling.steady(5).bursting(t / 10) for t in range(500))


@pytest.mark.parametrize(
    ("start", "end", "bursts"),
    [(0, 10, True), (10, 20, False), (20, 30, False), (20, 30.5, True), (9.9, 12, True)],
)
def test_a_span_says_whether_it_meets_a_burst(start: float, end: float, bursts: bool) -> None:
    assert Sampling(5, 15, 10, 30).bursts_in(Span(start, end)) is bursts
    assert not Sampling.steady(5).bursts_in(Span(start, end))


def test_pace_takes_a_share_and_does_not_catch_up_after_a_gap() -> None:
    pace = Pace(lambda time: 5.0)
    taken = [t / 25 for t in range(50) if pace.due(t / 25)]
    assert len(taken) == 10
    assert pace.due(100.0)
    assert not pace.due(100.04)


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50))
def test_what_is_not_reached_is_never_due(times: list[float]) -> None:
    pace = Pace(lambda _: 5.0)
    for time in sorted(times):
        reached = pace.reached(time)
        assert pace.due(time) == reached
