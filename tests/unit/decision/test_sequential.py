"""The scan statistic detects quickly, saturates, and keeps its false-alarm promise."""

import numpy as np
import pytest

from monitor.decision.certificate import conformal_threshold
from monitor.decision.sequential import Cusum, ScanModel, ScanStatistic, fit
from monitor.types import Span

MODEL = ScanModel(genuine=0.0, separation=2.5, between=0.3, within=0.7, autocorrelation=0.7)


def simulate(rng: np.random.Generator, mean: float, windows: int = 60) -> np.ndarray:
    noise = np.zeros(windows)
    shock = rng.standard_normal(windows) * np.sqrt(MODEL.within * (1 - MODEL.autocorrelation**2))
    noise[0] = rng.standard_normal() * np.sqrt(MODEL.within)
    for t in range(1, windows):
        noise[t] = MODEL.autocorrelation * noise[t - 1] + shock[t]
    llrs: np.ndarray = mean + rng.standard_normal() * np.sqrt(MODEL.between) + noise
    return llrs


def maximum(llrs: np.ndarray) -> float:
    scan = ScanStatistic(MODEL)
    return max(scan.update(float(x), Span(t, t + 3.0)).statistic for t, x in enumerate(llrs))


def test_evidence_saturates_with_the_variance_between_calls() -> None:
    limit = (MODEL.separation * 2.5 - MODEL.separation**2 / 2) / MODEL.between
    assert MODEL.evidence(2.5, 10_000) == pytest.approx(limit, rel=1e-2)
    assert MODEL.evidence(2.5, 20_000) < limit


def test_a_fake_part_is_found_and_its_onset_is_near() -> None:
    scan = ScanStatistic(MODEL)
    llrs = [0.0] * 60 + [2.5] * 15
    point = [scan.update(x, Span(t, t + 3.0)) for t, x in enumerate(llrs)][-1]
    assert point.span.start == pytest.approx(60, abs=1)
    assert point.statistic > 3
    assert point.total < point.statistic


def test_the_conformal_threshold_keeps_its_rate_on_calls_with_offsets() -> None:
    rng = np.random.default_rng(0)
    maxima = [maximum(simulate(rng, 0.0)) for _ in range(800)]
    threshold = conformal_threshold(maxima[:400], 0.05)
    alarms = sum(m > threshold for m in maxima[400:])
    assert 5 <= alarms <= 40  # expected 20 of 400; the bounds are 4 standard deviations away
    fakes = [maximum(simulate(rng, 2.5)) for _ in range(100)]
    assert np.mean([m > threshold for m in fakes]) > 0.9


def test_a_sum_of_llrs_would_break_the_promise() -> None:
    """The reason for the mixed-effects form: summed LLRs alarm far above their nominal rate."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        llr = MODEL.separation * simulate(rng, 0.0, 300) - MODEL.separation**2 / 2
        cusum = peak = 0.0
        for step in llr:
            cusum = max(0.0, cusum + step)
            peak = max(peak, cusum)
        alarms += peak > np.log(100)
    assert alarms / 200 > 0.05


def test_fit_recovers_the_model() -> None:
    rng = np.random.default_rng(2)
    model = fit([simulate(rng, 0.0) for _ in range(300)], [simulate(rng, 2.5) for _ in range(300)])
    assert model.separation == pytest.approx(2.5, abs=0.15)
    assert model.between == pytest.approx(0.3, abs=0.1)
    assert model.within == pytest.approx(0.7, abs=0.1)
    assert model.autocorrelation == pytest.approx(0.7, abs=0.1)


def test_fit_refuses_a_detector_that_points_the_wrong_way() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="do not score higher"):
        fit([simulate(rng, 2.5) for _ in range(9)], [simulate(rng, 0.0) for _ in range(9)])


def test_cusum_finds_a_change_and_its_start() -> None:
    cusum = Cusum(MODEL)
    points = [cusum.update(x, Span(t, t + 3.0)) for t, x in enumerate([0.0] * 40 + [2.5] * 10)]
    assert max(p.statistic for p in points[:40]) < 1
    assert points[-1].statistic > 5
    assert points[-1].span.start == pytest.approx(40, abs=1)
