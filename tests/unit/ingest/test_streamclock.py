"""Where telephony audio lands in call time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.dialect import Chunk
from monitor.ingest.streamclock import SLACK, Reorder, StreamClock


class Now:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_steady_media_stays_steady_whatever_the_arrival() -> None:
    now = Now()
    clock = StreamClock(now)
    placed = []
    for index, jitter in enumerate([0.0, 0.3, 0.0, 0.1, 0.9]):
        now.at = index * 0.02 + jitter
        placed.append(clock.place(1000 + index * 0.02, 0.02))
    assert np.allclose([p for p in placed if p is not None], [0, 0.02, 0.04, 0.06, 0.08])


def test_a_stream_that_stopped_goes_on_now() -> None:
    now = Now()
    clock = StreamClock(now)
    clock.place(0.0, 0.02)
    now.at = 60.0
    assert clock.place(0.02, 0.02) == 60.0


def test_a_burst_after_a_stall_is_thinned_and_then_in_time_again() -> None:
    now = Now()
    clock = StreamClock(now)
    clock.place(0.0, 0.02)
    now.at = 5.0
    kept = [clock.place(0.02 * i, 0.02) for i in range(1, 250)]
    times = [k for k in kept if k is not None]
    assert 1.0 < len(times) * 0.02 < SLACK + 0.1
    assert max(times) <= now.at + SLACK
    for i in range(250, 500):
        now.at += 0.02
        clock.place(0.02 * i, 0.02)
    last = clock.place(10.0, 0.02)
    assert last is not None
    assert abs(last - now.at) <= SLACK


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 3)), max_size=50))
def test_call_time_is_near_now_whatever_the_stream_says(steps: list[tuple[float, float]]) -> None:
    now = Now()
    clock = StreamClock(now)
    for at, later in steps:
        now.at += later
        placed = clock.place(at, 0.02)
        assert placed is None or now.at - SLACK - 1e-6 <= placed <= now.at + SLACK + 0.03


def chunk(time: float | None) -> Chunk:
    return Chunk("remote", np.zeros(160, np.int16), 8000, time)


def order(*indices: int) -> list[int]:
    reorder = Reorder()
    out = [c for i in indices for c in reorder.push(chunk(i * 0.02))] + list(reorder.flush())
    return [round((c.time or 0.0) / 0.02) for c in out]


def test_swapped_chunks_are_put_right() -> None:
    assert order(0, 2, 1, 3, 5, 4) == [0, 1, 2, 3, 4, 5]


def test_a_lost_chunk_holds_up_five_and_no_more() -> None:
    reorder = Reorder()
    released = [len(list(reorder.push(chunk(i * 0.02)))) for i in (0, 2, 3, 4, 5, 6, 7, 8)]
    assert released == [1, 0, 0, 0, 0, 0, 6, 1]


def test_late_and_double_chunks_are_left_out() -> None:
    assert order(0, 1, 1, 2, 0) == [0, 1, 2]
    reorder = Reorder()
    assert [len(list(reorder.push(chunk(None)))) for _ in range(3)] == [1, 1, 1]


def test_a_stream_that_counts_anew_is_followed() -> None:
    assert order(500, 501, 0, 1, 2) == [500, 501, 0, 1, 2]


@given(st.permutations(range(12)))
def test_what_comes_out_is_in_order_unless_given_up(indices: list[int]) -> None:
    out = order(*indices)
    assert out == sorted(set(out))
