"""When pictures are looked at."""

import pytest

from monitor.sampling import Sampling


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
