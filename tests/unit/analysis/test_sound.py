import numpy as np
import pytest

from monitor.analysis.sound import FLOOR, MelBands, band_centres, mel_bands
from monitor.types import SAMPLE_RATE, SOUND_BANDS, SOUND_HZ


def _tone(hertz: float, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("band", [0, 5, 12, 23])
def test_a_tone_is_loudest_in_the_band_it_lies_in(band: int) -> None:
    bands = mel_bands(_tone(band_centres()[band]))
    assert (bands[5:-5].argmax(axis=1) == band).all()


def test_frames_are_ten_milliseconds_apart() -> None:
    bands = mel_bands(_tone(440, seconds=1.237))
    assert bands.shape == (123, SOUND_BANDS)
    assert bands.dtype == np.float32


@pytest.mark.parametrize("chunk", [1, 7, 320, 4097, 16_000])
def test_frames_do_not_depend_on_how_samples_come(chunk: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 9_999).astype(np.float32)
    stream = MelBands()
    parts = [stream.push(samples[i : i + chunk]) for i in range(0, len(samples), chunk)]
    found = np.concatenate([*parts, stream.flush()])
    np.testing.assert_allclose(found, mel_bands(samples), atol=1e-4)


def test_a_click_lies_in_the_frame_of_its_time() -> None:
    samples = np.zeros(SAMPLE_RATE, np.float32)
    at = 0.635
    samples[round(at * SAMPLE_RATE)] = 1.0
    assert mel_bands(samples).sum(axis=1).argmax() == int(at * SOUND_HZ)


def test_ten_times_the_level_is_a_hundred_times_the_power() -> None:
    loud, soft = mel_bands(_tone(1000, level=0.5)), mel_bands(_tone(1000, level=0.05))
    band = loud[50].argmax()
    assert loud[50, band] - soft[50, band] == pytest.approx(np.log(100), abs=1e-3)


def test_power_of_noise_is_that_of_its_samples() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    power = np.exp(mel_bands(samples)).sum(axis=1).mean()
    # The bands leave out what lies below 100 Hz and above 7.6 kHz, and half of the outermost.
    assert 0.8 * 0.01 < power < 0.01


def test_silence_is_finite() -> None:
    assert np.allclose(mel_bands(np.zeros(1600, np.float32)), np.log(FLOOR))


def test_nothing_gives_nothing() -> None:
    stream = MelBands()
    assert stream.push(np.zeros(0, np.float32)).shape == (0, SOUND_BANDS)
    assert stream.flush().shape == (0, SOUND_BANDS)
