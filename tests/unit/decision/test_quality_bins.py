"""A score means what its quality allows."""

import numpy as np
import pytest

from monitor.decision.quality_bins import LabelledWindow, cell_of, fit_bins

CUTS = {"bandwidth_hz": (4200.0,)}


def windows(
    rng: np.random.Generator, bandwidth: float, separation: float, calls: int = 60
) -> list[LabelledWindow]:
    return [
        LabelledWindow(f"{fake}{bandwidth}{call}", fake, value, {"bandwidth_hz": bandwidth})
        for fake in (False, True)
        for call in range(calls)
        for value in rng.normal(separation * fake, 1.0, 10)
    ]


def test_each_quality_has_a_map_of_its_own() -> None:
    rng = np.random.default_rng(0)
    calibration = fit_bins(windows(rng, 8000, 3.0) + windows(rng, 3400, 1.0), CUTS)
    wide = calibration.llr(3.0, {"bandwidth_hz": 8000})
    narrow = calibration.llr(3.0, {"bandwidth_hz": 3400})
    assert wide is not None
    assert narrow is not None
    assert wide > narrow > 0


def test_where_scores_are_worse_than_silence_there_is_no_score() -> None:
    rng = np.random.default_rng(0)
    useless = [
        LabelledWindow(f"n{fake}{call}", fake, value, {"bandwidth_hz": 3400.0})
        for fake in (False, True)
        for call in range(20)
        # whole calls lie anywhere: no map learnt on some calls holds on others
        for value in rng.normal(rng.normal(0, 5) - 0.2 * fake, 0.1, 10)
    ]
    calibration = fit_bins(windows(rng, 8000, 3.0) + useless, CUTS)
    assert calibration.llr(2.0, {"bandwidth_hz": 3400}) is None
    assert calibration.llr(2.0, {"bandwidth_hz": 8000}) is not None


def test_a_quality_never_seen_is_not_measurable() -> None:
    rng = np.random.default_rng(0)
    calibration = fit_bins(windows(rng, 8000, 3.0), CUTS)
    assert calibration.llr(2.0, {"bandwidth_hz": 3400}) is None


def test_a_missing_measure_counts_as_the_best() -> None:
    assert cell_of({}, CUTS) == {"bandwidth_hz": 1}
    assert cell_of({"bandwidth_hz": 3400}, CUTS) == {"bandwidth_hz": 0}


def test_a_small_bin_shares_the_pooled_map() -> None:
    rng = np.random.default_rng(0)
    calibration = fit_bins(windows(rng, 8000, 3.0) + windows(rng, 3400, 3.0, calls=5), CUTS)
    narrow, wide = calibration.bins
    assert (narrow.genuine_calls, wide.genuine_calls) == (5, 60)
    assert narrow.calibration.slope == pytest.approx(wide.calibration.slope, rel=0.1)
