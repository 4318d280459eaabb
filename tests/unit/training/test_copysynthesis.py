"""Resyntheses keep length and sound, and repeat for a seed."""

import numpy as np
import pytest

from monitor.training.data.copysynthesis import METHODS, mel_matrix
from tests.unit.training.voices import voice


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_resynthesis(name: str, seed: int) -> None:
    samples = voice(np.random.default_rng(seed), 1.2)
    made = METHODS[name](samples, np.random.default_rng(seed))
    assert made.shape == samples.shape
    assert np.isfinite(made).all()
    assert not np.allclose(made, samples, atol=1e-3)
    before, after = (np.log(_bands(x) + 1e-3) for x in (samples, made))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.7
    np.testing.assert_array_equal(made, METHODS[name](samples, np.random.default_rng(seed)))


def _bands(samples: np.ndarray) -> np.ndarray:
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512)
    power = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
    bands = power[:, :256].reshape(len(power), 32, 8).sum(2)
    level = bands / bands.mean()
    return np.asarray(level)


def test_mel_filters_have_unit_area_and_rise() -> None:
    matrix = mel_matrix(1024, 80, 22_050, 0, 8000)
    assert matrix.shape == (80, 513)
    peaks = matrix.argmax(1)
    assert (np.diff(peaks) >= 0).all()
    # Slaney's normalisation: area 1 per filter, as far as the bins resolve it.
    area = matrix[40:].sum(1) * (22_050 / 1024)
    np.testing.assert_allclose(area, 1, atol=0.05)
