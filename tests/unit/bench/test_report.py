"""What a bench prints."""

from monitor.bench.report import table


def test_the_naive_peer_is_told_with_and_without_pictures() -> None:
    naive = {"calls_at_once": 1.4, "cpu_ms_per_call_second": 1100.2, "voice_calls_at_once": 1.9}
    assert table([], naive).endswith(
        "The naive peer carries 1.40 calls, 1100 ms each; of voice alone 1.90"
    )
    assert "naive" not in table([], None)
