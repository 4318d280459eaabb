"""Bisection on machines that are made up."""

import pytest

from monitor.bench.search import search
from monitor.bench.trial import Trial


def trial(calls: int, limit: int, cost: float) -> Trial:
    return Trial(
        calls=calls,
        broken=() if calls <= limit else ("loop lag",),
        windows=calls * 10,
        latency={"p50": 0.02, "p95": 0.05, "max": 0.1},
        loop_lag_p99=0.01,
        cores=calls * cost / 1000,
        caller_cores=calls * cost / 5000,
        megabytes=200.0 + calls,
        threads={},
        stages={},
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 16, 33, 150])
@pytest.mark.parametrize("cost", [5.0, 50.0, 200.0])
def test_the_limit_is_found_in_a_few_trials(limit: int, cost: float) -> None:
    tried: list[int] = []

    def attempt(calls: int) -> Trial:
        tried.append(calls)
        return trial(calls, limit, cost)

    found = search(attempt, 2, 400)
    assert found.limit <= limit
    assert found.failing is not None
    assert found.failing > limit
    assert found.failing - found.limit <= max(1, 0.07 * limit)
    assert len(tried) <= 18
    assert [t.calls for t in found.trials] == tried
    assert any(t.calls == found.limit and t.holds for t in found.trials)


def test_a_machine_that_holds_none_is_not_tried_further() -> None:
    found = search(lambda calls: trial(calls, 0, 50.0), 2, 400)
    assert (found.limit, found.failing, len(found.trials)) == (0, 1, 2)


def test_a_limit_beyond_what_is_wanted_is_not_looked_for() -> None:
    found = search(lambda calls: trial(calls, 1000, 1.0), 2, 30)
    assert (found.limit, found.failing) == (30, None)
