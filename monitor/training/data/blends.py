"""Half-fakes from aligned pairs: harder examples that differ from the human only in places.

The idea of self-blended images (arXiv 2204.08376), for speech: a detector that must find the
synthetic part looks at every band and every stretch of time.
"""

import numpy as np
from numpy.random import Generator

from monitor.types import SAMPLE_RATE, Waveform

_FADE = 320
"""Samples of a cross-fade: 20 ms."""


def blend_bands(human: Waveform, copy: Waveform, rng: Generator) -> Waveform:
    """Human below a frequency and copy above it, or the other way round."""
    edge = rng.uniform(500, 3000)
    at = np.fft.rfftfreq(len(human), 1 / SAMPLE_RATE)
    above = 1 / (1 + np.exp(-(at - edge) / 60))
    share = above if rng.random() < 0.6 else 1 - above
    mixed = np.fft.rfft(copy) * share + np.fft.rfft(human) * (1 - share)
    return np.fft.irfft(mixed, len(human)).astype(np.float32)


def splice(human: Waveform, copy: Waveform, rng: Generator) -> tuple[Waveform, Waveform]:
    """Copy in one stretch of 40 to 80 % of the time, human in the rest; and the copy's share,
    0 to 1, of every sample."""
    length = round(rng.uniform(0.4, 0.8) * len(human))
    start = int(rng.integers(len(human) - length + 1))
    share = np.zeros(len(human), np.float32)
    share[start : start + length] = 1
    share = np.convolve(share, np.full(_FADE, 1 / _FADE, np.float32), "same")
    return (share * copy + (1 - share) * human).astype(np.float32), share


def at_level_of(copy: Waveform, human: Waveform) -> Waveform:
    """The copy with the human recording's mean power."""
    ratio = np.sqrt((np.mean(human**2) + 1e-12) / (np.mean(copy**2) + 1e-12))
    return (copy * np.float32(ratio)).astype(np.float32)
