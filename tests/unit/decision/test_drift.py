"""Drift shows when there is some, within a stated number of calls, and rarely otherwise."""

import math
from bisect import bisect_left

import numpy as np
import pytest

from monitor.decision.certificate import Certificate
from monitor.decision.drift import (
    HISTOGRAM_EDGES,
    DriftMartingale,
    DriftWindow,
    Histogram,
    stability_index,
)
from monitor.decision.exchangeability import ExchangeabilityTest

EVIDENCE = 2.0
"""log10 of the martingale that counts as drift: 100 to 1."""


def test_a_histogram_counts_everything_once() -> None:
    found = Histogram.of((0.0, 1.0), [-5.0, 0.0, 0.5, 1.0, 9.0, 9.0])
    assert found.counts == (1, 2, 3)
    assert found.edges == (0.0, 1.0)


def test_the_index_is_zero_for_equal_shares_and_grows_with_the_shift() -> None:
    assert stability_index((100, 200, 100), (50, 100, 50)) == pytest.approx(0, abs=1e-3)
    mild = stability_index((100, 200, 100), (80, 200, 120))
    severe = stability_index((100, 200, 100), (10, 100, 290))
    assert 0 < mild < 0.1 < 0.25 < severe
    assert math.isfinite(stability_index((0, 0, 100), (100, 0, 0)))


def test_the_window_forgets_what_is_old() -> None:
    rng = np.random.default_rng(0)
    edges = HISTOGRAM_EDGES["score"]
    reference = Histogram.of(edges, rng.normal(-2, 1, 5000).tolist())
    window = DriftWindow({"score": reference}, capacity=1000)
    assert window.measures == ["score"]
    for value in rng.normal(-2, 1, 199):
        window.add("score", value)
    assert window.index("score") is None
    for value in rng.normal(-2, 1, 801):
        window.add("score", value)
    same = window.index("score")
    assert same is not None
    assert same < 0.05
    for value in rng.normal(0, 1, 1000):
        window.add("score", value)
    shifted = window.index("score")
    assert shifted is not None
    assert shifted > 0.25
    for value in rng.normal(-2, 1, 1000):
        window.add("score", value)
    assert window.index("score") == pytest.approx(0, abs=0.05)


def test_a_measure_without_reference_is_ignored() -> None:
    window = DriftWindow({})
    window.add("score", 1.0)
    assert window.measures == []


def test_uniform_p_values_do_not_move_the_martingale() -> None:
    grown = 0
    for seed in range(50):
        martingale = DriftMartingale()
        peak = 0.0
        for p in np.random.default_rng(seed).random(500):
            martingale.add(p)
            peak = max(peak, martingale.log10)
        grown += peak > EVIDENCE
    assert grown <= 2


@pytest.mark.parametrize("p", [0.05, 0.95])
def test_the_martingale_bets_on_both_sides(p: float) -> None:
    martingale = DriftMartingale()
    for _ in range(40):
        martingale.add(p)
    assert martingale.log10 > EVIDENCE


def certificate(maxima: list[float]) -> Certificate:
    return Certificate("id", "model", "2026-01-01", "simulated", {}, {"pooled": tuple(maxima)})


def calls_until_evidence(
    reference: int, calls: int, seed: int, shift: float = 0.0, after: int = 0
) -> int | None:
    """Simulated calls' maxima through the certificate's p-values; None if drift never showed.

    Maxima are rounded, so that ties happen, as they do where clipped evidence saturates.
    """
    rng = np.random.default_rng(seed)
    used = certificate(sorted(np.round(rng.normal(0, 1, reference), 2).tolist()))
    test = ExchangeabilityTest(reference)
    for i in range(after + calls):
        maximum = round(rng.normal(shift if i >= after else 0.0, 1), 2)
        test.add(used.p_value(maximum), rng.random())
        if test.log10 > EVIDENCE:
            return i + 1 - after
    return None


@pytest.mark.parametrize("reference", [20, 100, 300])
def test_calls_like_the_reference_stay_below_evidence(reference: int) -> None:
    # At most 1 in 100 by theory: of 40 sites with 500 calls each, 2 would be bad luck already.
    found = [calls_until_evidence(reference, 500, seed) for seed in range(40)]
    assert sum(f is not None for f in found) <= 1


@pytest.mark.parametrize(("shift", "most"), [(1.0, 60), (2.0, 30), (-1.0, 60)])
def test_shifted_calls_show_within_a_stated_number(shift: float, most: int) -> None:
    """Maxima that move by a standard deviation show within 60 calls, by two within 30."""
    found = [calls_until_evidence(100, most, seed, shift) for seed in range(20)]
    assert sum(f is not None for f in found) >= 19


def test_a_shift_after_a_quiet_time_shows_as_fast() -> None:
    found = [calls_until_evidence(100, 80, seed, 1.0, after=300) for seed in range(20)]
    assert sum(f is not None for f in found) >= 18
    assert all(f is None or f > 0 for f in found)


def test_p_values_against_a_fixed_set_alone_would_raise_false_drift() -> None:
    """Why calls are ranked among earlier calls too: the bare martingale is not enough."""
    grown = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        maxima = sorted(rng.normal(0, 1, 30).tolist())
        martingale = DriftMartingale()
        for maximum in rng.normal(0, 1, 500):
            reached = len(maxima) - bisect_left(maxima, maximum)
            martingale.add((1 + reached) / (len(maxima) + 1))
        grown += martingale.log10 > EVIDENCE
    assert grown >= 4


def test_ranks_are_uniform_given_the_past() -> None:
    rng = np.random.default_rng(1)
    inside: list[float] = []

    class Noting(DriftMartingale):
        def add(self, p_value: float) -> None:
            inside.append(p_value)
            super().add(p_value)

    for _ in range(200):
        used = certificate(sorted(rng.normal(0, 1, 10).tolist()))
        test = ExchangeabilityTest(10)
        test._martingale = Noting()
        for _ in range(10):
            test.add(used.p_value(rng.normal(0, 1)), rng.random())
    counts = np.histogram(inside, bins=10, range=(0, 1))[0]
    assert counts.sum() == 2000
    assert counts.min() > 150
    assert counts.max() < 250


@pytest.mark.parametrize("p", [0.0, 1e-9, 1.0])
def test_extreme_p_values_have_a_place(p: float) -> None:
    test = ExchangeabilityTest(3)
    test.add(p, 0.5)
    assert test.calls == 1
    assert math.isfinite(test.log10)
