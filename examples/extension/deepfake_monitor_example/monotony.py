"""A detector: how little a voice's loudness varies. A toy, which tells no fake from a person."""

import numpy as np

from monitor.types import SAMPLE_RATE, AbstentionReason, AudioWindow, Reading

_BLOCK = SAMPLE_RATE // 10


class Monotony:
    """Shown in the console and the metrics beside the other detectors; it never decides."""

    name = "monotony"
    model = "none"
    window = AudioWindow

    def measure(self, window: AudioWindow) -> Reading:
        """Return minus the spread of the loudness in dB, so that more is more monotonous."""
        if window.speech_seconds < 1:
            return Reading(None, AbstentionReason.TOO_LITTLE_SPEECH)
        blocks = window.samples[: len(window.samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        level = 10 * np.log10((blocks**2).mean(axis=1) + 1e-9)
        spread = float(level[level > level.max() - 40].std())
        return Reading(-spread, details={"spread_db": spread})
