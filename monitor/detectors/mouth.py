"""Mouths and speech on one clock: what a comparison of lips and voice starts from."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import apart, bursts
from monitor.types import MOUTH_SHAPE, SOUND_HZ, CueWindow

Floats = NDArray[np.float32]

HZ = 25.0
"""Steps a second at which lips and voice are compared."""
STEPS = round(SOUND_HZ / HZ)
"""Frames of sound in a step."""
MIN_RATE = 9.5
"""Pictures a second: nominally 10."""
MIN_BURST = 2.0
"""Seconds of pictures without a hole."""
SPEECH_BANDS = slice(2, 17)
"""Bands from 300 to 3,400 Hz."""
_PAIRS = np.array([(57, 63), (56, 64), (58, 62), (45, 51), (54, 60), (42, 48), (75, 99)])
"""Landmarks whose distances say how a mouth is shaped: inner lips in the middle, right and left;
outer lips; inner and outer corners; chin from the base of the nose."""


def openings(points: NDArray[np.float32]) -> Floats:
    """Shape of a mouth in distances between the eyes, from landmarks (pictures, POINTS, 2).

    Returns shape (pictures, 7).
    """
    found = points.astype(np.float64)
    lengths = np.linalg.norm(found[:, _PAIRS[:, 0]] - found[:, _PAIRS[:, 1]], axis=2)
    return np.asarray(lengths / np.maximum(apart(points), 1e-3)[:, None], np.float32)


def followable(times: NDArray[np.float64]) -> list[slice]:
    """Stretches of pictures dense and long enough to follow lips in."""
    return [rows for rows in bursts(times) if _dense(times[rows])]


def _dense(times: NDArray[np.float64]) -> bool:
    seconds = times[-1] - times[0]
    return bool(seconds >= MIN_BURST and len(times) - 1 >= MIN_RATE * seconds)


def steady(times: NDArray[np.float64], values: Floats, at: NDArray[np.float64]) -> Floats:
    """Values (pictures, ...) between their pictures' times, by linear interpolation."""
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    along = np.clip((at - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    share = along.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[after - 1] * (1 - share) + values[after] * share, np.float32)


def standardised(values: Floats) -> Floats:
    """Columns with mean 0 and variance 1 over time; 0 where nothing is known (NaN)."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    centred = np.where(known, values - mean, 0)
    spread = np.sqrt(np.square(centred).sum(axis=0) / count)
    return np.asarray(centred / (spread + 1e-3), np.float32)


def moving(mouths: NDArray[np.uint8] | Floats) -> Floats:
    """What changes in pictures of a mouth (pictures, *MOUTH_SHAPE), half as wide and high.

    The mean picture, which shows who it is and how the light falls, is taken away; the rest has
    variance 1.
    """
    rows, columns = MOUTH_SHAPE
    halved = mouths.reshape(-1, rows // 2, 2, columns // 2, 2).mean(axis=(2, 4)) / 255
    centred = halved - halved.mean(axis=0)
    return np.asarray(centred / (centred.std() + 0.02), np.float32)


def loudness(sound: Floats) -> Floats:
    """Level of speech at each step, from frames of sound; standardised, shape (steps, 1)."""
    level = standardised(sound[:, SPEECH_BANDS].mean(axis=1, keepdims=True))[:, 0]
    # A syllable's rise and fall, without the pitch periods in it.
    window = np.hanning(2 * STEPS + 5)[1:-1]
    smooth = np.convolve(level, window / window.sum(), "same")
    return smooth[: len(smooth) // STEPS * STEPS : STEPS].astype(np.float32)[:, None]


def agreement(lips: Floats, voice: Floats, first: int) -> Floats:
    """Mean product of lips (steps, n) with voice (all steps, n) at every circular delay.

    `first` is the voice's step at which the lips begin; entry `k` compares with the voice `k`
    steps later.
    """
    steps = len(voice)
    spectrum = np.conj(np.fft.rfft(lips, steps, axis=0)) * np.fft.rfft(voice, axis=0)
    found = np.fft.irfft(spectrum.sum(axis=1), steps) / len(lips)
    return np.roll(found, -first).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Burst:
    """Lips at a steady rate."""

    first: int
    """Step of the window's voice at which they begin."""
    mouths: Floats
    """As of `moving`, shape (steps, rows / 2, columns / 2)."""
    openings: Floats
    """Standardised, shape (steps, 7)."""


def burst(window: CueWindow, rows: slice) -> Burst:
    """The lips of one burst on the steps of the window's voice."""
    times = window.times[rows]
    offset = window.span.start + 0.5 / SOUND_HZ
    first = max(0, math.ceil((times[0] - offset) * HZ))
    last = min(math.floor((times[-1] - offset) * HZ), len(window.sound) // STEPS - 1)
    at = offset + np.arange(first, last + 1) / HZ
    seen = steady(times, window.mouths[rows].astype(np.float32), at)
    shape = steady(times, openings(window.points[rows]), at)
    return Burst(first, moving(seen), standardised(shape))
