"""Several channels of one stream → one voice, without cancelling or burying any. Pure.

The mean of the channels, but

    channel that is silent       counts as none       a recorder of calls with a party a channel
    channel that is upside down  is turned first      balanced sound cards, two wires swapped
    names of channels            mean nothing         FFmpeg takes three unnamed ones for 2.1
"""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE, Waveform

Channels = NDArray[np.float32]
"""Shape (channels, samples), 16 kHz, in [-1, 1]."""

_PIECE = 4000
"""Samples that are looked at together: a quarter of a second."""
_MEMORY = 0.1
"""Seconds after which what channels had in common is forgotten."""
_OPPOSITE = -0.5
"""Correlation below which one of two channels is upside down; two voices have none."""
_QUIET = 1e-3
"""Power beside the loudest channel's below which a channel is no voice of its own: -30 dB."""
_SILENT = 1e-5
"""Power beside the loudest channel's below which a channel is left out."""
_AUDIBLE = 1e-6
"""Power of a channel that is heard at all: -60 dBFS."""
_ALONE = 0.1
"""Power of the others beside that of a channel that speaks alone."""
_UNLIKE = 0.3
"""Correlation below which two channels do not carry the same."""
_DIFFERENT = 1.0
"""Seconds that each of two channels must speak alone to count as different voices; three times as
much of both at once."""


class Mix:
    """One stream's channels; remembers which are silent or upside down."""

    def __init__(self) -> None:
        self._common: NDArray[np.float64] = np.zeros((0, 0))
        """Energy of late, and what channels share of it."""
        self._loudest: NDArray[np.float64] = np.zeros(0)
        """By channel, the most power of a piece."""
        self._signs: NDArray[np.float32] = np.zeros(0, np.float32)
        self._alone: NDArray[np.float64] = np.zeros(0)
        """By channel, seconds in which nothing else was as loud."""
        self._apart = 0.0
        """Seconds in which several were loud, and unlike."""

    @property
    def different(self) -> bool:
        """Whether channels carry different voices."""
        several = int(np.count_nonzero(self._alone >= _DIFFERENT))
        return several > 1 or self._apart >= 3 * _DIFFERENT

    def mono(self, channels: Channels) -> Waveform:
        """Return one channel, shape (samples,)."""
        count, length = channels.shape
        if count == 1 or not length:
            first: Waveform = channels[0]
            return first
        if count != len(self._signs):
            self._common = np.zeros((count, count))
            self._loudest, self._alone = np.zeros(count), np.zeros(count)
            self._signs = np.ones(count, np.float32)
        pieces = [self._piece(channels[:, at : at + _PIECE]) for at in range(0, length, _PIECE)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, channels: Channels) -> Waveform:
        length = channels.shape[1]
        seconds = length / SAMPLE_RATE
        own = (channels @ channels.T).astype(np.float64)
        power = own.diagonal() / length
        self._common = self._common * math.exp(-seconds / _MEMORY) + own
        self._loudest = np.maximum(self._loudest, power)
        most = float(self._loudest.max())
        if most <= 0:
            return np.zeros(length, np.float32)
        self._turn()
        self._compare(own, power, seconds)
        heard = self._loudest > _SILENT * most
        voices = int(np.count_nonzero(self._loudest > _QUIET * most))
        weights = self._signs * heard / voices
        return np.asarray(weights.astype(np.float32) @ channels, np.float32)

    def _turn(self) -> None:
        """Turn channels that are upside down beside the loudest."""
        energy = self._common.diagonal()
        first = int(energy.argmax())
        shared = np.sqrt(energy * energy[first])
        likeness = np.divide(
            self._common[first], shared, out=np.zeros_like(shared), where=shared > 0
        )
        opposite = likeness * self._signs * self._signs[first] < _OPPOSITE
        self._signs = np.where(opposite, -self._signs, self._signs)

    def _compare(
        self, own: NDArray[np.float64], power: NDArray[np.float64], seconds: float
    ) -> None:
        """Note whether channels carry different voices."""
        loud = (power > _AUDIBLE) & (power > _QUIET * self._loudest.max())
        if not loud.any():
            return
        first, second = np.argsort(power)[::-1][:2]
        if power[second] < _ALONE * power[first]:
            self._alone[first] += seconds
        elif loud[second] and abs(own[first, second]) < _UNLIKE * math.sqrt(
            own[first, first] * own[second, second]
        ):
            self._apart += seconds
