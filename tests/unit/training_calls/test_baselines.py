"""The scan's rivals and the thresholds a textbook gives them."""

import math

import numpy as np
import pytest

from monitor.training.calls.baselines import (
    CUSUM,
    MEAN,
    SCAN,
    WINDOW,
    MeanOverCall,
    PlainCusum,
    SingleWindow,
    naive_threshold,
)
from monitor.types import Span

LLRS = (-1.0, 2.0, 1.0, -4.0, 1.5)
SPANS = tuple(Span(float(t), t + 3.0) for t in range(len(LLRS)))


def test_the_mean_is_over_the_whole_call() -> None:
    rival = MeanOverCall()
    points = [rival.update(x, s) for x, s in zip(LLRS, SPANS, strict=True)]
    assert [p.statistic for p in points] == pytest.approx([-1, 0.5, 2 / 3, -0.5, -0.1])
    assert points[-1].span == Span(0, 7)


def test_a_single_window_has_no_memory() -> None:
    rival = SingleWindow()
    points = [rival.update(x, s) for x, s in zip(LLRS, SPANS, strict=True)]
    assert [p.statistic for p in points] == list(LLRS)
    assert points[-1].span == SPANS[-1]


def test_cusum_restarts_at_zero_and_knows_since_when() -> None:
    rival = PlainCusum()
    points = [rival.update(x, s) for x, s in zip(LLRS, SPANS, strict=True)]
    assert [p.statistic for p in points] == [0, 2, 3, 0, 1.5]
    assert points[2].span == Span(1, 5)
    assert points[4].span == SPANS[4]


def test_textbook_thresholds_hold_for_independent_windows() -> None:
    rng = np.random.default_rng(0)
    windows = rng.normal(-1, 2, 50_000)
    means = rng.normal(-1, 2, (20_000, 16)).mean(axis=1)
    assert np.mean(windows > naive_threshold(WINDOW, windows, 16, 0.05)) == pytest.approx(
        0.05, abs=0.005
    )
    assert np.mean(means > naive_threshold(MEAN, windows, 16, 0.05)) == pytest.approx(
        0.05, abs=0.01
    )
    assert naive_threshold(CUSUM, windows, 16, 0.01) == pytest.approx(math.log(100))


def test_the_scan_has_none() -> None:
    with pytest.raises(ValueError, match="scan"):
        naive_threshold(SCAN, np.zeros(4), 2, 0.05)
