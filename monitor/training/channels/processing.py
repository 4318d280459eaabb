"""What telephones and conference clients do to a voice on purpose: gain control, noise removal.

A human voice after either is still a human voice; a detector that has not met them takes their
traces for synthesis.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE

Signals = NDArray[np.float32]
"""Shape (recordings, samples), 16 kHz."""
_FRAME = 512
_HOP = 128
_BLOCK = 160
"""Samples between two values of the gain control: 10 ms."""


def control_gain(signals: Signals, attack: float, release: float, strength: float) -> Signals:
    """Automatic gain control: each recording is pulled towards its mean level.

    `attack` and `release` in seconds: how fast the level estimate rises and falls; `strength`
    0 to 1: the share of the level's deviation, in dB, that is taken out.
    """
    blocks = signals.shape[1] // _BLOCK
    level = np.abs(signals[:, : blocks * _BLOCK]).reshape(len(signals), blocks, _BLOCK).max(2)
    rise, fall = (float(np.exp(-_BLOCK / SAMPLE_RATE / t)) for t in (attack, release))
    estimate = np.empty_like(level)
    now = level[:, : max(blocks // 4, 1)].mean(1)
    for i in range(blocks):
        keep = np.where(level[:, i] > now, rise, fall)
        now = keep * now + (1 - keep) * level[:, i]
        estimate[:, i] = now
    target = level.mean(1, keepdims=True)
    # At most 15 dB up, so that pauses are not blown up to speech.
    gain = np.clip(target / np.maximum(estimate, 1e-6), 0.1, 5.6) ** strength
    at = np.arange(signals.shape[1]) / _BLOCK - 0.5
    smooth = np.stack([np.interp(at, np.arange(blocks), row) for row in gain])
    return np.asarray(signals * smooth, np.float32)


def suppress_noise(signals: Signals, over: float, floor: float) -> Signals:
    """Wiener-like gain on the short-time spectrum (Ephraim and Malah's decision-directed rule).

    Noise is what the quietest fifth of the frames holds in each bin; `over` multiplies it, and
    no bin is lowered below `floor` (0 to 1). Leaves the "musical" residue of real suppressors.
    """
    samples = signals.shape[1]
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    padded = np.pad(signals, ((0, 0), (_FRAME, _FRAME)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME, axis=1)[:, ::_HOP]
    spectrum = np.fft.rfft(frames * window, axis=2).astype(np.complex64)
    power = np.square(np.abs(spectrum))
    noise = over * np.quantile(power, 0.2, axis=1, keepdims=True) + np.float32(1e-10)
    posterior = power / noise
    gain = np.empty_like(power)
    before = np.ones_like(power[:, 0])
    for i in range(power.shape[1]):
        prior = 0.9 * before + 0.1 * np.maximum(posterior[:, i] - 1, 0)
        gain[:, i] = np.maximum(prior / (1 + prior), floor)
        before = np.minimum(np.square(gain[:, i]) * posterior[:, i], 1e4)
    cleaned = np.fft.irfft(spectrum * gain, axis=2).astype(np.float32) * window
    out = np.zeros_like(padded)
    for i in range(cleaned.shape[1]):
        out[:, i * _HOP : i * _HOP + _FRAME] += cleaned[:, i]
    # Squared Hann windows at a quarter of their length add up to 1.5.
    return np.asarray(out[:, _FRAME : _FRAME + samples] / 1.5, np.float32)
