"""Exact bounds, against values from the textbook formulae."""

import math

import pytest

from monitor.decision.certificate import (
    POOLED,
    Certificate,
    Tier,
    binomial_upper,
    conformal_threshold,
    poisson_upper,
)


def test_exact_limits() -> None:
    # no event in n trials: 1 - 0.05^(1/n); no event in 10 hours: -ln 0.05 / 10
    assert binomial_upper(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-6)
    assert binomial_upper(4, 1000) < 0.01 < binomial_upper(5, 1000)
    assert binomial_upper(0, 0) == 1
    assert poisson_upper(0, 10) == pytest.approx(-math.log(0.05) / 10, rel=1e-6)
    assert poisson_upper(3, 1) == pytest.approx(7.754, abs=1e-3)
    assert poisson_upper(0, 0) == math.inf


def test_conformal_threshold() -> None:
    maxima = [float(i) for i in range(1, 100)]
    assert conformal_threshold(maxima, 0.01) == 99
    assert conformal_threshold(maxima, 0.05) == 95
    assert conformal_threshold(maxima[:98], 0.01) == math.inf


def test_a_tier_is_certified_only_by_enough_calls() -> None:
    few = Tier("alert", 0.12, {POOLED: 5.0}, "conformal", calls=100, hours=8, alarms=0)
    many = Tier("alert", 0.12, {POOLED: 5.0}, "conformal", calls=300, hours=25, alarms=0)
    assert not few.certified
    assert many.certified
    assert many.bound_per_hour == pytest.approx(0.1198, abs=1e-3)
    assert many.bound_per_call == pytest.approx(0.00994, abs=1e-4)


def test_p_value_counts_genuine_calls_that_went_as_far() -> None:
    maxima = {POOLED: (1.0, 2.0, 3.0), "narrow": (5.0,)}
    certificate = Certificate("c", "m", "2026-01-01", "tests", {}, maxima)
    assert certificate.p_value(4.0, "narrow") == 1
    assert certificate.p_value(4.0, "unheard of") == pytest.approx(1 / 4)
    assert certificate.p_value(-math.inf) == 1
    assert certificate.p_value(2.0) == pytest.approx(3 / 4)
    assert certificate.p_value(9.0) == pytest.approx(1 / 4)
