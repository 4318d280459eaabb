"""What a window's audio is like: measurements that tell how well it can be judged. Pure."""

import numpy as np
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE, Waveform

_SILENT = 1e-10
_WINDOW = np.hanning(512).astype(np.float32)


def level_dbfs(samples: Waveform) -> float:
    """Root-mean-square level in dB relative to full scale; -100 for digital silence."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + _SILENT))


def clipped_ratio(samples: Waveform) -> float:
    """Share of samples at or beyond 99 % of full scale."""
    return float(np.mean(np.abs(samples) >= 0.99))


def bandwidth_hz(samples: Waveform) -> float:
    """Frequency below which 99.5 % of the energy lies; about 3400 for a telephone channel."""
    n = len(samples) // 512 * 512
    if n == 0:
        return 0.0
    frames = samples[:n].reshape(-1, 512) * _WINDOW
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).sum(axis=0)
    total = power.sum()
    if total <= _SILENT:
        return 0.0
    bin_ = int(np.searchsorted(np.cumsum(power), 0.995 * total))
    return bin_ * SAMPLE_RATE / 512


def snr_db(samples: Waveform, speech: NDArray[np.bool_], chunk: int) -> float:
    """Level of speech chunks over the other chunks in dB, limited to 0..60.

    `speech` has one flag per `chunk` samples. 60 when every chunk is speech: no noise was heard.
    """
    n = min(len(samples) // chunk, len(speech))
    if n == 0 or not speech[:n].any():
        return 0.0
    energy = np.square(samples[: n * chunk].reshape(n, chunk)).mean(axis=1)
    noise = energy[~speech[:n]]
    if not len(noise):
        return 60.0
    ratio = energy[speech[:n]].mean() / (noise.mean() + _SILENT)
    return float(np.clip(10 * np.log10(ratio + _SILENT), 0, 60))
