"""Logits become likelihood ratios that are neither over- nor under-confident."""

import numpy as np
import pytest

from monitor.decision.calibration import cllr, equal_error_rate, fit


def test_llrs_of_gaussian_scores_are_the_true_ones() -> None:
    # two unit normals at -1 and +1, scaled by 5 and shifted by 3: the true LLR is 2 x
    rng = np.random.default_rng(0)
    genuine, fake = rng.normal(-1, 1, 20_000), rng.normal(1, 1, 2_000)
    calibration = fit(5 * genuine + 3, 5 * fake + 3, cap=10)
    for x in (-1.0, 0.0, 0.7):
        assert calibration.llr(5 * x + 3) == pytest.approx(2 * x, abs=0.15)


def test_evidence_is_bounded_by_the_size_of_the_set() -> None:
    rng = np.random.default_rng(0)
    calibration = fit(rng.normal(-9, 1, 10), rng.normal(9, 1, 12))
    assert calibration.llr(1e6) == pytest.approx(np.log(11) - 1)
    assert calibration.llr(-1e6) == pytest.approx(1 - np.log(13))


def test_a_useless_or_reversed_detector_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="slope"):
        fit(rng.normal(1, 1, 500), rng.normal(-1, 1, 500))


def test_cllr_of_saying_nothing_is_one_bit() -> None:
    assert cllr(np.zeros(5), np.zeros(9)) == pytest.approx(1.0)


def test_equal_error_rate() -> None:
    assert equal_error_rate(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 0
    assert equal_error_rate(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == pytest.approx(0.5)
    rng = np.random.default_rng(0)
    rate = equal_error_rate(rng.normal(0, 1, 50_000), rng.normal(2, 1, 50_000))
    assert rate == pytest.approx(0.1587, abs=0.005)
