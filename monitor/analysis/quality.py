"""What a window's audio is like: measurements that tell how well it can be judged. Pure."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE, Waveform

_SILENT = 1e-10
_LOWEST_HZ = 75.0
"""Below it there is no voice: the deepest have their fundamental at about 80 Hz."""
_COARSE = 8
_MEAN = np.full(_COARSE, 1 / _COARSE, np.float32)
"""As a product: numpy takes the mean of so short rows ten times as long."""
_LET_BE = 0.01
"""Share of a window's power below the voice that is let be: no measure moves by as much as it
differs between windows, and most telephones send so much."""
_MAINS_HZ = (50.0, 60.0)
_HARMONICS = 8
_LINE_HZ = 1.0
"""How far from a multiple of the mains frequency its hum is, at most."""
_STANDS_OUT = 30.0
"""How many times the power around it a multiple must have to be hum."""
_WINDOW = np.hanning(512).astype(np.float32)


def of_voice(samples: Waveform) -> Waveform:
    """Return a window without what lies below a voice: constant offset, rumble, mains hum.

    The window itself where there is next to none of that.
    """
    if not _low_share(samples) > _LET_BE:
        return samples
    # Mirrored, so that a slow wave does not leap where the window's end meets its beginning.
    mirrored = np.fft.rfft(np.concatenate([samples, samples[::-1]]))
    mirrored[: round(_LOWEST_HZ * 2 * len(samples) / SAMPLE_RATE)] = 0
    spectrum = np.fft.rfft(np.fft.irfft(mirrored)[: len(samples)])
    step = SAMPLE_RATE / len(samples)
    for mains in _MAINS_HZ:
        for harmonic in range(2, _HARMONICS + 1):
            _take_out_line(spectrum, mains * harmonic / step, _LINE_HZ / step)
    return np.asarray(np.fft.irfft(spectrum, len(samples)), np.float32)


def _low_share(samples: Waveform) -> float:
    """Which share of a window's power lies below a voice."""
    n = len(samples) // _COARSE * _COARSE
    if not n:
        return 0.0
    # An eighth of the samples is enough to look at so low frequencies.
    coarse = samples[:n].reshape(-1, _COARSE) @ _MEAN
    power = np.square(np.abs(np.fft.rfft(coarse * _bell(len(coarse)))))
    low = power[: round(_LOWEST_HZ * n / SAMPLE_RATE)].sum()
    # By Parseval, for half a spectrum and a Hann window, which keeps 3/8 of the power.
    total = np.square(samples).mean() * len(coarse) ** 2 * 3 / 16
    return float(low / (total + _SILENT))


@lru_cache(maxsize=8)
def _bell(length: int) -> NDArray[np.float64]:
    return np.hanning(length)


def _take_out_line(spectrum: NDArray[np.complexfloating], middle: float, width: float) -> None:
    """Silence the bins around `middle` if they stand out from those beside them."""
    first, last = round(middle - width), round(middle + width) + 1
    beside = 4 * (last - first)
    around = np.square(np.abs(spectrum[max(0, first - beside) : last + beside]))
    line = np.square(np.abs(spectrum[first:last]))
    # Voices move, hum stands.
    if len(line) and line.max() > _STANDS_OUT * np.median(around):
        spectrum[first:last] = 0


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
