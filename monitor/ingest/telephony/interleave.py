"""Sound of one stream as its messages cut it up: channels side by side, cut anywhere. Pure.

message  L R L R L | R L R L R L | ...      a cut inside a frame: the rest waits for the next
"""

from collections.abc import Iterator

import numpy as np

from monitor.ingest.codecs.g711 import Codec, Samples, decode
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import Chunk, Wire

_PIECE, _LONG = 0.1, 0.5
"""Seconds of a chunk made of a message that is longer than the second: what gathered in a stall."""
_ROUGHER = 2.0
"""How much rougher sound must be one way to be believed the other way."""
_PAIRED = 4.0
"""How much nearer the two samples of a pair must be than those of two pairs."""
_LEAST = 80
"""Samples from which the order of bytes is judged: 10 ms at 8 kHz."""


class Interleave:
    """Decodes one stream's messages; each channel is one participant's."""

    def __init__(self, codec: Codec, rate: int, channels: tuple[str, ...]) -> None:
        """`rate` in hertz; of two channels of one name, their mean is that participant's voice."""
        self._codec = codec
        self._rate = rate
        self._channels = channels
        self._width = codec.width * len(channels)
        self._rest = b""
        self._swapped: bool | None = None if codec is Codec.L16 else False
        """Whether samples come in network order; None while it cannot be told."""

    def read(self, payload: bytes, time: float | None) -> Iterator[Chunk | Anomaly]:
        """Decode one message; `time`: seconds of the stream's own clock, None if it has none."""
        if not payload:
            return
        data = self._rest + payload
        if self._rest and self._codec is Codec.L16 and self._misled(data, payload):
            # The sender left half a sample out, rather than sending its other half later.
            yield Anomaly(AnomalyKind.MEDIA, "media", "half a sample, whose other half never came")
            data = payload
        end = len(data) - len(data) % self._width
        self._rest, data = data[end:], data[:end]
        if not data:
            return
        if self._swapped is None:
            self._swapped = self._order(data)
            if self._swapped:
                yield Anomaly(AnomalyKind.FORMAT, "media", "samples come in network order")
        if self._swapped:
            data = np.frombuffer(data, dtype="<i2").byteswap().tobytes()
        yield from self._pieces(data, time)

    def _pieces(self, data: bytes, time: float | None) -> Iterator[Chunk]:
        seconds = len(data) / (self._width * self._rate)
        step = len(data)
        if seconds > _LONG:
            step = self._width * max(1, round(_PIECE * self._rate))
        for begin in range(0, len(data), step):
            piece = data[begin : begin + step]
            samples = decode(self._codec, piece)
            at = None if time is None else time + begin / (self._width * self._rate)
            count = len(self._channels)
            if count == 2 and self._channels[0] == self._channels[1]:
                joint = samples.reshape(-1, 2).mean(axis=1).astype(np.int16)
                wire = Wire(Codec.L16, joint.tobytes(), 0, 1)
                yield Chunk(self._channels[0], joint, self._rate, at, wire)
                continue
            for index, participant in enumerate(self._channels):
                wire = Wire(self._codec, piece, index, count)
                yield Chunk(participant, samples[index::count], self._rate, at, wire)

    def _misled(self, joined: bytes, alone: bytes) -> bool:
        """Whether a message makes smoother sound without what was left over before it."""
        with_rest, without = self._rough(joined), self._rough(alone)
        return with_rest is not None and without is not None and with_rest > _ROUGHER * without

    def _order(self, data: bytes) -> bool | None:
        given = self._rough(data)
        turned = self._rough(np.frombuffer(data, dtype="<i2").byteswap().tobytes())
        if given is None or turned is None:
            return None
        if max(given, turned) <= _ROUGHER * min(given, turned):
            return None
        return turned < given

    def _rough(self, data: bytes) -> float | None:
        """Mean step from one sample to the next; None for what is too short or silent."""
        count = len(data) // self._width * self._width
        order = ">i2" if self._swapped else "<i2"
        samples: Samples = np.frombuffer(data[:count], dtype=order).astype(np.int16, copy=False)
        if len(samples) < _LEAST or not samples.any():
            return None
        channels = len(self._channels)
        steps = np.abs(samples[channels:].astype(np.int32) - samples[:-channels])
        return float(steps.mean())


def paired(data: bytes) -> bool | None:
    """Whether samples come two and two, of channels that are much alike; None for silence."""
    samples = np.frombuffer(data[: len(data) // 4 * 4], dtype="<i2").astype(np.int32)
    if len(samples) < _LEAST or not samples.any():
        return None
    within = np.abs(samples[1::2] - samples[::2]).mean()
    between = np.abs(samples[2::2] - samples[1:-1:2]).mean()
    return bool(_PAIRED * within < between)
