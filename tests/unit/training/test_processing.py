"""Gain control, noise removal and blends do to a signal what they say."""

import numpy as np
import pytest

from monitor.training.channels.processing import control_gain, suppress_noise
from monitor.training.data.blends import at_level_of, blend_bands, splice
from monitor.types import SAMPLE_RATE, Waveform


def _tone(frequency: float, seconds: float = 2.0) -> Waveform:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * frequency * t).astype(np.float32)


def _rms(x: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def test_gain_control_evens_out_loud_and_quiet() -> None:
    signal = _tone(300)
    half = len(signal) // 2
    signal[half:] *= 0.2
    out = control_gain(signal[None], 0.01, 0.1, 1.0)[0]
    before = _rms(signal[:half]) / _rms(signal[half + 8000 :])
    after = _rms(out[:half]) / _rms(out[half + 8000 :])
    assert out.shape == signal.shape
    assert after < 0.5 * before
    assert np.isfinite(control_gain(np.zeros((1, 4000), np.float32), 0.01, 0.1, 1.0)).all()


def test_noise_removal_takes_noise_and_leaves_speech_bursts() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    clean = _tone(500) * (np.sin(2 * np.pi * 1.5 * t) > 0)
    noisy = (clean + 0.05 * rng.standard_normal(len(clean))).astype(np.float32)
    out = suppress_noise(noisy[None], 2.0, 0.1)[0]
    pause = np.sin(2 * np.pi * 1.5 * t) < -0.5
    speech = np.sin(2 * np.pi * 1.5 * t) > 0.5
    assert _rms(out[pause]) < 0.5 * _rms(noisy[pause])
    assert abs(_rms(out[speech]) / _rms(clean[speech]) - 1) < 0.1


def test_bands_come_from_one_side_each() -> None:
    rng = np.random.default_rng(3)
    human, copy = _tone(200), _tone(6000)
    lows, highs = set(), set()
    for _ in range(20):
        spectrum = np.abs(np.fft.rfft(blend_bands(human, copy, rng)))
        at = np.fft.rfftfreq(len(human), 1 / SAMPLE_RATE)
        lows.add(bool(spectrum[np.abs(at - 200) < 5].max() > 1000))
        highs.add(bool(spectrum[np.abs(at - 6000) < 5].max() > 1000))
    # Human low and copy high keeps both tones, the other way round neither.
    assert lows == highs == {True, False}


def test_a_splice_changes_one_stretch_only() -> None:
    human, copy = _tone(200), _tone(900)
    made, share = splice(human, copy, np.random.default_rng(0))
    changed = np.abs(made - human) > 1e-6
    assert 0.35 < changed.mean() < 0.9
    assert share[changed].min() > 0
    assert share.max() == pytest.approx(1, abs=1e-5)
    inside = np.flatnonzero(changed)
    assert changed[inside[0] : inside[-1]].mean() > 0.9


def test_level_is_matched() -> None:
    assert abs(_rms(at_level_of(0.01 * _tone(900), _tone(200))) / _rms(_tone(200)) - 1) < 1e-3
