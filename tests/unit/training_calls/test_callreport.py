"""Simulated detectors whose windows share an offset within each call."""

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from monitor.decision.paths import statistic_path
from monitor.training.calls.baselines import CUSUM, MEAN, SCAN, WINDOW
from monitor.training.calls.callbench import CALL_LEVEL, COMPARED, NAIVE, PER_CALL, Level, traces
from monitor.training.calls.calldetection import bench_without, measured, outcomes
from monitor.training.calls.callplot import draw
from monitor.training.calls.callreport import report_on
from monitor.training.calls.callset import Kind, StagedCall
from monitor.training.calls.callsplits import exchangeable, realised_rates, shifts
from monitor.training.calls.calltables import markdown
from monitor.training.calls.policy import llrs
from monitor.types import Span
from tests.unit.training_calls.simulated import scored, simulated_calls, staged

FIVE = "5 % of calls"


@lru_cache
def _calls() -> tuple[StagedCall, ...]:
    return tuple(simulated_calls())


@lru_cache
def _report() -> dict[str, Any]:
    return report_on(_calls(), splits=60, rounds=40)


def _row(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (found,) = (r for r in rows if all(r[k] == v for k, v in wanted.items()))
    return found


def test_thresholds_from_whole_calls_keep_the_budget_where_the_textbook_fails() -> None:
    rows = _report()["false_alarms"]
    ours = _row(rows, level=FIVE, statistic=SCAN, rule=CALL_LEVEL)
    assert ours["straddles"]
    assert ours["mean"] == pytest.approx(0.05, abs=0.02)
    for rival in (MEAN, WINDOW, CUSUM):
        naive = _row(rows, level=FIVE, statistic=rival, rule=NAIVE)
        assert not naive["straddles"]
        assert naive["low"] > 0.05
        fair = _row(rows, level=FIVE, statistic=rival, rule=CALL_LEVEL)
        assert fair["straddles"]


def test_without_offsets_the_textbook_mean_is_nearly_right() -> None:
    # It looks at every window of the call instead of once, so it is not quite.
    bench = bench_without(simulated_calls(between=0.0, separation=1.5))
    naive = _row(realised_rates(bench, 20), level=FIVE, statistic=MEAN, rule=NAIVE)
    offset = _row(_report()["false_alarms"], level=FIVE, statistic=MEAN, rule=NAIVE)
    assert naive["mean"] < 0.12
    assert offset["mean"] > 2 * naive["mean"]


def test_a_threshold_from_an_easier_channel_is_shown_to_fail() -> None:
    # The telephone lifts every genuine score.
    calls = simulated_calls(humans=60)
    rng = np.random.default_rng(1)
    for i in range(60):
        logits = rng.normal(2.5, 1.0, 60) + rng.normal(0, 1.5)
        calls.append(staged(Kind.GENUINE, scored(logits.tolist(), f"t-{i}", channel="g711"), None))
    rows = shifts(bench_without(calls))
    there = _row(rows, **{"from": "clean", "to": "g711"})
    back = _row(rows, **{"from": "g711", "to": "clean"})
    assert there["alarms"] > 0.2 * there["calls"]
    assert back["alarms"] <= 0.05 * back["calls"]


def test_short_calls_neither_set_nor_test_the_level_of_long_ones() -> None:
    calls = simulated_calls(humans=30)
    short = [staged(Kind.GENUINE, scored([9.0] * 10, f"s-{i}"), None) for i in range(30)]
    bench = bench_without([*calls, *short])
    setting = np.ones(len(bench.calls), bool)
    assert bench.counts(COMPARED).sum() == 30
    assert bench.counts(PER_CALL).sum() == 60
    loud = bench.threshold(PER_CALL, MEAN, CALL_LEVEL, setting)
    assert bench.threshold(COMPARED, MEAN, CALL_LEVEL, setting) < loud


def test_a_budget_that_the_calls_cannot_carry_is_said_to_be_unreachable() -> None:
    ours = _row(_report()["false_alarms"], level="1 % of calls", statistic=SCAN, rule=CALL_LEVEL)
    assert ours["setting_calls"] < 99
    assert ours["reachable"] == 0
    assert ours["threshold"] is None
    assert "too few calls" in markdown(_report())


def test_theory_of_exchangeable_calls() -> None:
    found = exchangeable(0.05, 99, 100)
    assert found is not None
    low, mean, high = found
    assert mean == pytest.approx(0.05, abs=0.003)
    assert low < 0.05 < high
    assert exchangeable(0.01, 98, 100) is None


def test_halves_divide_speakers_not_calls() -> None:
    calls = simulated_calls(humans=40)
    # Every speaker calls twice with exactly the same outcome: as if each counted double.
    twice = [c for c in calls for _ in range(2 if c.kind is Kind.GENUINE else 1)]
    bench = bench_without(twice)
    assert len(bench.calls) == 80
    for row in realised_rates(bench, 5):
        assert row["setting_calls"] == row["testing_calls"] == 40
        tests = np.array(row["rates"]) * 40
        assert np.allclose(tests % 2, 0, atol=0.01) or row["rule"] == NAIVE


def test_the_scan_here_is_the_scan_of_the_service() -> None:
    fitted = bench_without(_calls()).fitted
    call = _calls()[0].call
    expected = statistic_path(
        llrs(call, fitted.calibration).tolist(),
        [w.span for w in call.windows],
        [w.fresh_seconds for w in call.windows],
        fitted.scan,
    )
    found = traces(call, fitted)[SCAN]
    assert found.values.tolist() == expected
    assert found.values[2] == -math.inf
    assert found.values[3] > -math.inf


def test_an_alarm_before_the_onset_detects_nothing() -> None:
    loud = scored([9.0] * 60, "x-1", fake=True, source="test")
    quiet = scored([-9.0] * 30 + [9.0] * 30, "x-2", fake=True, source="test")
    never = scored([-9.0] * 60, "x-3", fake=True, source="test")
    extra = [staged(Kind.SWITCH, call, Span(32.0, 62.0)) for call in (loud, quiet, never)]
    found = [o for o in outcomes([*_calls(), *extra]) if (o.level, o.statistic) == (FIVE, SCAN)]
    early, later, missed = found[-3:]
    assert early.early
    assert not early.noticed
    assert later.noticed
    assert 0 < later.followed <= 15
    assert not missed.noticed
    assert missed.followed == pytest.approx(30.0)


def test_too_short_and_not_measurable_are_told_apart() -> None:
    short = staged(Kind.FULL, scored([5.0] * 3, "x-1", fake=True, source="test"), Span(0.0, 5.0))
    noisy = scored([5.0] * 20, "x-2", fake=True, source="test")
    # Nothing is known about this quality, so its windows have no LLR.
    windows = [replace(w, quality={**w.quality, "snr_db": 3.0}) for w in noisy.windows]
    unknown = staged(Kind.FULL, replace(noisy, windows=tuple(windows)), Span(0.0, 22.0))
    found = [
        o for o in outcomes([*_calls(), short, unknown]) if (o.level, o.statistic) == (FIVE, SCAN)
    ]
    row = measured(found[-2:])
    assert row["undecided"] == 2
    assert row["not_measurable"] == 1
    assert row["noticed"] is None


def test_detection_is_measured_from_the_onset_with_an_interval() -> None:
    rows = _report()["detection"]
    wanted = {"level": FIVE, "statistic": SCAN, "channel": "all"}
    full = _row(rows, kind="full", **wanted)
    switch = _row(rows, kind="switch", **wanted)
    for row in (full, switch):
        assert row["interval"][0] <= row["noticed"] <= row["interval"][1]
        assert row["within"]["15"] <= row["within"]["30"]
    assert switch["calls"] == 30
    assert full["noticed"] > 0.3
    partial = _row(rows, kind="partial", **wanted)
    if partial["noticed"]:
        assert 0 < partial["covered"] <= 1
        assert 0 < partial["pure"] <= 1


def test_alert_precision_follows_from_base_rate_and_rates() -> None:
    row = next(r for r in _report()["precision"] if r["level"] == FIVE and r["kind"] == "full")
    p = 1e-3 * row["noticed"] / (1e-3 * row["noticed"] + 0.999 * 0.05)
    assert row["at_budget"]["0.001"] == pytest.approx(p)
    assert row["at_upper"]["0.001"] <= p


def test_the_same_calls_give_the_same_report_and_it_can_be_shown() -> None:
    again = report_on(simulated_calls(), splits=60, rounds=40)
    text = json.dumps(again, allow_nan=False)
    assert text == json.dumps(_report(), allow_nan=False)
    tables = markdown(json.loads(text))
    assert "scan (ours)" in tables
    assert "None" not in tables
    assert "nan" not in tables
    picture = ElementTree.fromstring(draw(json.loads(text)))
    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) == 4 * 60


def test_a_level_is_a_share_of_calls_or_follows_from_their_length() -> None:
    assert Level("a", per_call=0.05).nominal(1.0) == 0.05
    assert Level("b", per_hour=0.6).nominal(1 / 12) == pytest.approx(0.05)
