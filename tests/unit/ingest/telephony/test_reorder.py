"""Chunks that may come out of order are sorted by their numbers, and none is thrown away."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.telephony.dialect import Chunk
from monitor.ingest.telephony.reorder import Reorder


def chunk(number: int | None) -> Chunk:
    return Chunk("remote", np.zeros(160, np.int16), 8000, None, number=number)


def order(*numbers: int) -> list[int | None]:
    reorder = Reorder()
    out = [c for n in numbers for c, _ in reorder.push(chunk(n), 0.0)]
    return [c.number for c in (*out, *(c for c, _ in reorder.flush()))]


def test_swapped_chunks_are_put_right() -> None:
    assert order(0, 2, 1, 3, 5, 4) == [0, 1, 2, 3, 4, 5]


def test_a_lost_chunk_holds_up_five_and_no_more() -> None:
    reorder = Reorder()
    released = [len(list(reorder.push(chunk(n), 0.0))) for n in (0, 2, 3, 4, 5, 6, 7, 8)]
    assert released[:7] == [1, 0, 0, 0, 0, 0, 6]


def test_numbers_shared_with_another_track_hold_up_nothing_for_long() -> None:
    reorder = Reorder()
    released = [len(list(reorder.push(chunk(n), 0.0))) for n in range(1, 60, 2)]
    assert sum(released) == 30
    assert released[-10:] == [1] * 10


def test_what_has_no_number_passes() -> None:
    reorder = Reorder()
    assert [len(list(reorder.push(chunk(None), 0.0))) for _ in range(3)] == [1, 1, 1]


def test_a_stream_that_counts_anew_is_followed() -> None:
    assert order(500, 501, 0, 1, 2) == [500, 501, 0, 1, 2]


@given(st.permutations(range(12)))
def test_none_is_thrown_away(numbers: list[int]) -> None:
    assert sorted(n for n in order(*numbers) if n is not None) == list(range(12))
