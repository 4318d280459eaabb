"""The benchmark's arithmetic: which packet ended a window, which receipts count, percentiles."""

import json
from typing import Any

import pytest

from benchmarks.alert_latency import (
    Caller,
    Row,
    Sample,
    lost_share,
    percentile,
    rows,
    samples,
    table,
    whole,
    window_end,
)
from tests.e2e.rig.receiver import Post


def spent(scored: float, abstained: float = 0.0, **lost: float) -> dict[str, Any]:
    return {
        "scored": scored,
        "abstained": abstained,
        "lost": sum(lost.values()),
        "lost_by_reason": lost,
    }


def post(call: str, key: str, at: float, seconds: dict[str, Any], **more: str) -> Post:
    alert = {"call": call, "idempotency_key": key, "tier": "alert", "action": "raised"} | more
    body = json.dumps({"data": {**alert, "verdict": {"seconds": seconds}}}).encode()
    return Post("POST", "/hook", {}, body, monotonic=at)


def sent(count: int, began: float = 100.0) -> list[float]:
    """One packet every 20 ms."""
    return [began + n / 50 for n in range(count)]


@pytest.mark.parametrize(
    ("seconds", "packet"),
    [
        (spent(0.02), 0),
        (spent(0.021), 1),  # a window that ends inside of a packet waits for all of it
        (spent(5.0, 1.0), 299),
        (spent(5.0, 1.0001), 299),  # three digits in the message
        (spent(4.0, 1.0, overload=1.0), 299),  # dropped, but it had its place
        (spent(20.0), 999),
    ],
)
def test_a_window_ends_with_the_packet_that_completes_it(
    seconds: dict[str, Any], packet: int
) -> None:
    assert window_end(sent(1000), {"seconds": seconds}) == sent(1000)[packet]


@pytest.mark.parametrize(
    "seconds",
    [spent(0.0), spent(5.0, network=0.1), spent(5.0, overload=1.0, idle=0.1), spent(20.02)],
)
def test_a_window_without_a_packet_is_not_guessed(seconds: dict[str, Any]) -> None:
    assert window_end(sent(1000), {"seconds": seconds}) is None


def test_receipts_are_matched_to_their_calls() -> None:
    callers = [Caller("early", sent(1000, 100.0)), Caller("late", sent(1000, 200.0))]
    labels = {"id-1": "late", "id-2": "early"}
    found, lost = samples(
        [
            post("id-1", "a", 206.08, spent(6.0)),
            post("id-1", "a", 299.0, spent(6.0)),  # repeated
            post("id-2", "b", 107.0, spent(6.0), tier="review"),
            post("id-2", "c", 108.0, spent(7.0), action="cleared"),
            post("id-2", "d", 109.0, spent(7.0, network=1.0)),
            post("id-3", "e", 109.0, spent(7.0)),  # nobody's call
        ],
        labels,
        callers,
    )
    assert [(s.call, s.tier) for s in found] == [("late", "alert"), ("early", "review")]
    assert [s.seconds for s in found] == pytest.approx([0.1, 1.02])
    assert lost == 2


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0], 95, 3.0),
        ([1.0, 2.0], 50, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([float(n) for n in range(100, 0, -1)], 95, 95.0),
        ([float(n) for n in range(1, 21)], 95, 19.0),
        ([1.0, 2.0, 3.0], 0, 1.0),
        ([1.0, 2.0, 3.0], 100, 3.0),
    ],
)
def test_percentiles_are_values_that_were_measured(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


def test_rows_are_all_and_each_tier() -> None:
    found = [Sample("c", "review", 0.1), Sample("c", "alert", 0.4), Sample("d", "review", 0.2)]
    assert rows(found) == [
        Row("all", 3, 0.2, 0.4, 0.4),
        Row("alert", 1, 0.4, 0.4, 0.4),
        Row("review", 2, 0.1, 0.2, 0.2),
    ]
    assert rows([]) == []


def test_the_share_that_was_lost_is_of_all_calls() -> None:
    calls: list[dict[str, Any]] = [
        {"participants": [{"verdict": {"seconds": spent(6.0, 1.0, overload=1.0)}}]},
        {"participants": [{"verdict": {"seconds": spent(2.0)}}, {"verdict": None}]},
        {"participants": []},
    ]
    assert lost_share(calls) == pytest.approx(0.1)
    assert lost_share([]) == 0.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (spent(18.0, 2.0), True),
        (spent(15.0, 2.0, overload=2.9), True),
        (spent(18.0), False),  # two seconds were thinned
        (spent(18.0, 2.0, idle=2.0), False),
    ],
)
def test_a_call_that_does_not_account_for_what_was_sent_is_not_whole(
    seconds: dict[str, Any], expected: bool
) -> None:
    call = {"participants": [{"verdict": {"seconds": seconds}}, {"verdict": None}]}
    assert whole(call, sent(1000)) is expected


@pytest.mark.parametrize("lost", [0.0, 0.25])
def test_the_table_says_when_the_machine_was_too_small(lost: float) -> None:
    shown = table(
        {
            "calls": 10,
            "rounds": 2,
            "spread_seconds": 1.0,
            "cores": 2,
            "load_before": 0.5,
            "rows": [{"tier": "all", "n": 3, "p50": 0.2, "p95": 0.4, "max": 0.45}],
            "windows": 100,
            "window_to_verdict_mean": 0.1,
            "media_lost_share": lost,
            "alerts_not_placed": 1,
            "calls_without_alert": 0,
        }
    )
    assert "all          3    0.200    0.400    0.450" in shown
    assert f"media lost: {lost:.1%}" in shown
    assert ("did not carry" in shown) == (lost > 0)
