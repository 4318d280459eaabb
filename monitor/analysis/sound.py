"""Waveform → log power in mel bands, a frame every 10 ms: how a voice sounds over time. Pure.

Triangular bands of equal width on the mel scale (in O'Shaughnessy's formula, 1987), as in Davis
and Mermelstein (1980) without their cosine transform.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE, SOUND_BANDS, SOUND_HZ, Waveform

LOWEST_HZ = 100.0
HIGHEST_HZ = 7600.0
FLOOR = 1e-10
"""Power added to each band: less than the noise of 16-bit samples, and silence stays finite."""
_STEP = round(SAMPLE_RATE / SOUND_HZ)
_WIDTH = 400
"""Samples of a frame: 25 ms, a pitch period of the lowest voices and not much more."""
_SIZE = 512
"""Points of the Fourier transform."""
_BEFORE = (_WIDTH - _STEP) // 2
"""Samples of a frame that lie before the 10 ms that it describes; as many lie behind."""
_BLOCK = 25
"""Frames worked on at once: a call of numpy costs as much as its work on a packet of 20 ms, and
much larger products of matrices wake threads, which cost more than they bring."""


def band_centres() -> NDArray[np.float64]:
    """Hz of each band's middle, shape (SOUND_BANDS,)."""
    return _edges()[1:-1]


class MelBands:
    """Turns samples into frames as they come; one per stream without gaps.

    Frame `i` describes the 10 ms that begin `i / SOUND_HZ` seconds after the first sample, weighted
    with a 25 ms Hann window around their middle. Frames come in blocks of a quarter of a second.
    """

    def __init__(self) -> None:
        self._waiting = [np.zeros(_BEFORE, np.float32)]
        self._samples = _BEFORE

    def push(self, samples: Waveform) -> NDArray[np.float32]:
        """Return the frames that are due, shape (frames, SOUND_BANDS); there may be none.

        Natural logarithm of the power of samples in [-1, 1].
        """
        self._waiting.append(samples)
        self._samples += len(samples)
        ready = (self._samples - _WIDTH) // _STEP + 1
        return self._frames(max(0, ready // _BLOCK * _BLOCK))

    def flush(self) -> NDArray[np.float32]:
        """Return the frames of what is left, as if silence followed; the stream ends here."""
        left = (self._samples - _BEFORE) // _STEP
        self._waiting.append(np.zeros(_BEFORE, np.float32))
        return self._frames(left)

    def _frames(self, frames: int) -> NDArray[np.float32]:
        if not frames:
            return np.zeros((0, SOUND_BANDS), np.float32)
        heard = np.concatenate(self._waiting)
        self._waiting = [heard[frames * _STEP :]]
        self._samples = len(self._waiting[0])
        pieces = np.lib.stride_tricks.sliding_window_view(heard, _WIDTH)[::_STEP]
        return np.concatenate(
            [_bands(pieces[i : min(i + _BLOCK, frames)]) for i in range(0, frames, _BLOCK)]
        )


def mel_bands(samples: Waveform) -> NDArray[np.float32]:
    """Frames of a whole recording, shape (len(samples) // 160, SOUND_BANDS)."""
    bands = MelBands()
    return np.concatenate([bands.push(samples), bands.flush()])


def _bands(pieces: NDArray[np.float32]) -> NDArray[np.float32]:
    spectrum = np.fft.rfft(pieces * _WINDOW, _SIZE, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands: NDArray[np.float32] = np.log(power @ _FILTERS + np.float32(FLOOR))
    return bands


def _edges() -> NDArray[np.float64]:
    """Hz at which bands begin, culminate and end, shape (SOUND_BANDS + 2,)."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    edges: NDArray[np.float64] = 700 * (
        10 ** (np.linspace(lowest, highest, SOUND_BANDS + 2) / 2595) - 1
    )
    return edges


def _filters() -> NDArray[np.float32]:
    """Weight of each frequency in each band, shape (_SIZE // 2 + 1, SOUND_BANDS)."""
    frequencies = np.fft.rfftfreq(_SIZE, 1 / SAMPLE_RATE)[:, None]
    edges = _edges()
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    # Divided by the window's energy, so that white noise of power p gives about p times the share
    # of the spectrum that a band covers.
    scale = 1 / (np.square(_WINDOW).sum() * _SIZE / 2)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * scale, np.float32)


_WINDOW = np.hanning(_WIDTH + 1)[:_WIDTH].astype(np.float32)
_FILTERS = _filters()
