"""Generated stand-ins for speech: harmonic tones through a vowel-like filter, with pauses."""

import numpy as np
from numpy.random import Generator

from monitor.types import SAMPLE_RATE, Waveform


def voice(rng: Generator, seconds: float = 2.0, wobble: float = 0.04) -> Waveform:
    """A tone with harmonics whose pitch wanders by `wobble` (0: a machine's steady pitch)."""
    samples = int(seconds * SAMPLE_RATE)
    drift = np.cumsum(rng.standard_normal(samples // 400 + 2))
    drift = np.interp(np.arange(samples), np.arange(len(drift)) * 400, drift)
    drift = drift / (np.abs(drift).max() + 1e-9)
    pitch = rng.uniform(90, 220) * (1 + wobble * drift)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = rng.uniform([300, 900, 2200], [800, 1800, 3200])
    out = np.zeros(samples)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch.mean()
        level = sum(np.exp(-(((hertz - f) / 200) ** 2)) for f in formants) + 0.02
        out += level * np.sin(harmonic * phase)
    syllables = 0.15 + 0.85 * np.sin(np.arange(samples) / SAMPLE_RATE * 2 * np.pi * 2.5) ** 2
    out = out * syllables + 0.003 * rng.standard_normal(samples)
    return np.asarray(0.3 * out / np.abs(out).max(), np.float32)
