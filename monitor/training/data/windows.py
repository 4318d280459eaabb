"""Recording → the 3 s windows that the service would score."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.speech import CHUNK, CHUNK_SECONDS
from monitor.types import SAMPLE_RATE, Waveform

WINDOW_SECONDS = 3.0
HOP_SECONDS = 1.0
MIN_SPEECH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ScoringWindow:
    """A piece of a recording that holds enough speech."""

    start: float
    """Seconds from the beginning of the samples given."""
    speech: float
    """Seconds of speech in it."""
    samples: Waveform


def scoring_windows(
    samples: Waveform,
    active: NDArray[np.bool_],
    seconds: float = WINDOW_SECONDS,
    hop: float = HOP_SECONDS,
    min_speech: float = MIN_SPEECH_SECONDS,
) -> Iterator[ScoringWindow]:
    """Windows with at least `min_speech` seconds of speech; `active` is per 32 ms chunk.

    A recording shorter than a window is one window of what there is.
    """
    length = round(seconds * SAMPLE_RATE)
    for first in range(0, max(1, len(samples) - length + 1), round(hop * SAMPLE_RATE)):
        last = min(first + length, len(samples))
        speech = float(active[first // CHUNK : -(-last // CHUNK)].sum()) * CHUNK_SECONDS
        if speech >= min_speech:
            yield ScoringWindow(first / SAMPLE_RATE, speech, samples[first:last])
