"""The comparison with GStreamer's jitter buffer: our half of it, in virtual time."""

import pytest

from benchmarks.clock_peer import calls, ours, row

CALLS = calls()


@pytest.mark.parametrize("name", CALLS)
def test_no_sound_is_cut_put_in_or_misplaced(name: str) -> None:
    median, p95, cut, put_in, delay = row(CALLS[name], ours(CALLS[name]))
    assert cut == put_in == pytest.approx(0.0, abs=1e-6)
    assert median <= 0.08
    assert p95 < 0.1
    assert delay < 0.25
