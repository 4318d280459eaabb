"""Thresholds keep their budget on calls they have not seen, and say when they only hope so."""

import numpy as np
import pytest

from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED
from monitor.decision.sequential import ScanModel
from monitor.decision.thresholds import ReferenceCall, set_tier, simulated_threshold

SCAN = ScanModel(0.0, 2.5, 0.3, 0.7, 0.7)
CAP = Calibration(1.0, 0.0, -3.0, 3.0)


def calls(rng: np.random.Generator, n: int, stratum: str = "wide") -> list[ReferenceCall]:
    return [
        ReferenceCall(f"{stratum}{i}", stratum, float(x), hours=1 / 12)
        for i, x in enumerate(rng.normal(0, 2, n))
    ]


def test_enough_calls_give_a_conformal_threshold_that_keeps_the_budget() -> None:
    rng = np.random.default_rng(0)
    alarms = hours = 0.0
    for _ in range(50):
        tier = set_tier("review", 0.6, calls(rng, 200), calls(rng, 200), SCAN, CAP)
        assert tier.basis == "conformal"
        alarms += tier.alarms
        hours += tier.hours
    assert alarms / hours == pytest.approx(0.6, rel=0.15)


def test_too_few_calls_leave_it_to_the_model_and_say_so() -> None:
    rng = np.random.default_rng(0)
    tier = set_tier("alert", 0.12, calls(rng, 20), calls(rng, 20), SCAN, CAP)
    assert tier.basis == "model"
    assert not tier.certified
    assert tier.thresholds[POOLED] == pytest.approx(simulated_threshold(SCAN, CAP, 0.01), abs=1e-3)


def test_a_real_call_above_the_models_threshold_refutes_it() -> None:
    short = [ReferenceCall(f"c{i}", "wide", i / 10, hours=1 / 120) for i in range(300)]
    tier = set_tier("alert", 0.12, short, [], SCAN, CAP)
    assert tier.basis == "model"
    assert tier.thresholds[POOLED] == 29.9 > simulated_threshold(SCAN, CAP, 0.01)


def test_a_stratum_with_enough_calls_has_its_own() -> None:
    rng = np.random.default_rng(0)
    high = [ReferenceCall(f"n{i}", "narrow", 5.0 + i / 100, 1 / 12) for i in range(150)]
    tier = set_tier("review", 0.6, calls(rng, 150) + high, [], SCAN, CAP)
    assert set(tier.thresholds) == {POOLED, "narrow", "wide"}
    assert tier.threshold("wide") < tier.threshold("narrow")
    assert tier.threshold("unheard of") == tier.thresholds[POOLED]


def test_a_type_that_shares_the_budget_alarms_later() -> None:
    setting = calls(np.random.default_rng(0), 400)
    whole = set_tier("review", 0.6, setting, [], SCAN, CAP)
    half = set_tier("review", 0.6, setting, [], SCAN, CAP, {"wide": 0.5})
    assert half.threshold("wide") > whole.threshold("wide")
    assert half.threshold(POOLED) > whole.threshold(POOLED)


def test_without_test_calls_nothing_is_certified() -> None:
    tier = set_tier("review", 0.6, calls(np.random.default_rng(0), 500), [], SCAN, CAP)
    assert (tier.calls, tier.hours) == (0, 0.0)
    assert not tier.certified
