"""The linear floor hears what it should, and a peer is compared clip by clip."""

import numpy as np
import pytest

from monitor.training.measure.floor import cepstra, features
from monitor.training.measure.logistic import fit_logistic
from monitor.training.measure.peer import compared
from monitor.training.measure.scoring import COLUMNS, Table
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice


def test_cepstra_follow_the_spectrum_and_not_the_level() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(SAMPLE_RATE).astype(np.float32)
    dark = np.convolve(noise, np.ones(8) / 8, "same").astype(np.float32)
    assert cepstra(noise).shape[1] == 20
    # The first cosine is the tilt of the spectrum.
    assert cepstra(dark)[:, 1].mean() > cepstra(noise)[:, 1].mean() + 1
    np.testing.assert_allclose(features(noise), features(0.1 * noise), atol=1e-3)


def test_a_linear_rule_tells_steady_from_wandering_voices() -> None:
    rng = np.random.default_rng(1)
    x = np.stack([features(voice(rng, 1.5, 0.15 * (i % 2))) for i in range(60)])
    y = np.array([float(i % 2 == 0) for i in range(60)])
    rule = fit_logistic(x[:40], y[:40])
    right = (rule.scores(x[40:]) > 0) == (y[40:] > 0)
    assert right.mean() > 0.7


def test_logistic_scores_are_odds() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(4000) < 0.3).astype(float)
    x = rng.normal(2.0 * y, 1.0)[:, None]
    rule = fit_logistic(x, y)
    # Two unit Gaussians two apart: the log odds rise by two a unit and are 0 half-way.
    np.testing.assert_allclose(rule.scores(np.array([[1.0], [2.0]])), [0, 2], atol=0.25)


def _table(separation: float, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    rows = []
    for source in ("a", "b"):
        for i in range(80):
            fake = i % 2 == 1
            kind = f"g{i % 4}" if fake else "human"
            logit = rng.normal(separation * fake)
            about = (f"{source}{i}", source, f"s{i % 6}", fake, kind, kind)
            rows.append((*about, "test", "clean", 0.0, 3.0, logit))
    columns = zip(*rows, strict=True)
    return {name: np.array(values) for name, values in zip(COLUMNS, columns, strict=True)}


def test_the_better_scorer_wins_by_an_interval_that_excludes_nothing_to_choose() -> None:
    found = compared(_table(3.0, 3), _table(0.3, 4), "clean", rounds=200)
    assert found["ours"] < 0.15
    assert found["other"] > 0.3
    assert found["difference"] == pytest.approx(found["ours"] - found["other"])
    assert found["interval"][0] <= found["difference"] <= found["interval"][1] < 0
    assert (found["sources"], found["windows"]) == (2, 160)


def test_equals_are_not_told_apart() -> None:
    low, high = compared(_table(1.5, 3), _table(1.5, 4), "clean", rounds=200)["interval"]
    assert low < 0 < high


def test_only_what_both_scored_is_compared() -> None:
    other = {name: values[10:][::-1] for name, values in _table(1.5, 3).items()}
    found = compared(_table(1.5, 3), other, "clean", rounds=20)
    assert found["windows"] == 150
    assert found["difference"] == 0
