"""Sound made longer or shorter by some per cent to where its clock has it, at the pitch it has.

Waveform similarity overlap-add: a piece of some milliseconds is left out or said twice where what
comes before and after the joint is most alike. Resampling would shift a voice's pitch, which is
right only if the sender's converter was off, and not its packets.
"""

import numpy as np

from monitor.types import SAMPLE_RATE, Waveform

_LEAST = SAMPLE_RATE // 200
"""Samples from which a piece is worth a joint: 5 ms."""
_FADE = SAMPLE_RATE // 100
"""Samples of a joint: 10 ms."""


class Stretch:
    """For 16 kHz mono; what comes out begins where the first block did."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._made = 0
        """Samples handed out."""

    def convert(self, samples: Waveform, at: float) -> Waveform:
        """Return samples that belong to second `at`, more or fewer so that time is kept."""
        if self._begin is None:
            self._begin = at
        more = round((at - self._begin) * SAMPLE_RATE) - self._made
        most = (len(samples) - _FADE) // 3
        if _LEAST <= abs(more) and most >= _LEAST:
            samples = _joined(samples, max(-most, min(most, more)))
        self._made += len(samples)
        return samples


def _joined(samples: Waveform, more: int) -> Waveform:
    """Samples with `more` of them; fewer where that is negative."""
    piece = abs(more)
    away = np.concatenate([[0.0], np.cumsum((samples[piece:] - samples[:-piece]) ** 2)])
    place = int((away[_FADE:] - away[:-_FADE]).argmin())
    early, late = samples[place : place + _FADE], samples[place + piece : place + piece + _FADE]
    fade = np.linspace(0, 1, _FADE, dtype=np.float32)
    if more < 0:
        joint = early * (1 - fade) + late * fade
        return np.concatenate([samples[:place], joint, samples[place + piece + _FADE :]])
    joint = late * (1 - fade) + early * fade
    return np.concatenate([samples[: place + piece], joint, samples[place + _FADE :]])
