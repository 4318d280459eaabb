"""Recording → its speech: where it starts and ends, and which 32 ms chunks are speech."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.speech import CHUNK, CHUNK_SECONDS, SPEECH_PROBABILITY, SpeechGate
from monitor.types import Waveform

MARGIN_CHUNKS = 3
"""Kept before the first and after the last speech chunk: about 100 ms.

Both labels are cut alike: how long a page's files are silent at their ends tells human from
synthetic without any listening (arXiv 2106.12914)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """The spoken part of a recording."""

    start: int
    """First sample kept, counted from the recording's start."""
    samples: Waveform
    active: NDArray[np.bool_]
    """Speech or not per 32 ms chunk of `samples`."""

    @property
    def seconds(self) -> float:
        """Seconds of speech."""
        return float(self.active.sum()) * CHUNK_SECONDS


def find_speech(samples: Waveform, gate: SpeechGate) -> Speech | None:
    """Cut a recording to its speech; None if there is none."""
    # Recordings differ in level by 40 dB; the gate is not told the level of its call either,
    # but a whisper-quiet file should not be thrown away here.
    peak = float(np.max(np.abs(samples), initial=0))
    if peak == 0:
        return None
    active = gate.stream().probabilities(samples * (0.7 / peak)) >= SPEECH_PROBABILITY
    where = np.flatnonzero(active)
    if not len(where):
        return None
    first = max(0, int(where[0]) - MARGIN_CHUNKS)
    last = min(len(active), int(where[-1]) + 1 + MARGIN_CHUNKS)
    return Speech(first * CHUNK, samples[first * CHUNK : last * CHUNK], active[first:last])
