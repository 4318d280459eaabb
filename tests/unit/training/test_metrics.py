"""Error rates and their intervals."""

import numpy as np
import pytest

from monitor.training.measure.metrics import (
    area_under_curve,
    bootstrap,
    equal_error_rate,
    equal_error_threshold,
    error_rates,
    macro_equal_error_rate,
)


def test_perfect_and_reversed_scores() -> None:
    assert equal_error_rate([0, 1, 2], [3, 4, 5]) == 0
    assert area_under_curve([0, 1, 2], [3, 4, 5]) == 1
    assert equal_error_rate([3, 4, 5], [0, 1, 2]) == 1
    assert area_under_curve([1, 1], [1, 1]) == 0.5


def test_overlap_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    human, fake = rng.normal(-1, 1, 20_000), rng.normal(1, 1, 20_000)
    assert equal_error_rate(human, fake) == pytest.approx(0.1587, abs=0.01)
    alarms, misses = error_rates(human, fake, equal_error_threshold(human, fake))
    assert alarms == pytest.approx(misses, abs=0.001)


def test_interval_grows_when_speakers_differ() -> None:
    rng = np.random.default_rng(1)

    def width(spread: float) -> float:
        human = {f"s{i}": rng.normal(-1 + spread * rng.normal(), 1, 50) for i in range(8)}
        fake = {f"g{i}": rng.normal(1 + spread * rng.normal(), 1, 50) for i in range(8)}
        low, high = bootstrap(macro_equal_error_rate, [(human, fake)], rounds=200)
        return high - low

    assert width(1.5) > 2 * width(0.0)
