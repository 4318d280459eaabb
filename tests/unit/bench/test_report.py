"""What a bench prints."""

from monitor.bench.report import plot, table
from monitor.bench.scenario import KINDS


def test_the_naive_peer_is_told_with_and_without_pictures() -> None:
    naive = {"calls_at_once": 1.4, "cpu_ms_per_call_second": 1100.2, "voice_calls_at_once": 1.9}
    assert table([], naive).endswith(
        "The naive peer carries 1.40 calls, 1100 ms each; of voice alone 1.90"
    )
    assert "naive" not in table([], None)


def test_every_kind_is_drawn_in_a_colour_of_its_own() -> None:
    trials = [{"calls": 1, "cost": 30.0, "broken": ()}, {"calls": 9, "cost": 12.0, "broken": ()}]
    results = [
        {"title": kind.title, "limit": 9, "floor_cost": 7.0, "trials": trials} for kind in KINDS
    ]
    drawn = plot(results)
    lines = [line for line in drawn.splitlines() if line.startswith("<polyline")]
    assert len(lines) == len(set(lines)) == len(KINDS)
    assert all(kind.title in drawn for kind in KINDS)
