"""Telephone sample formats → signed 16-bit samples (ITU-T G.711 and linear PCM). Pure."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Signed 16-bit audio, shape (samples,)."""


class Codec(StrEnum):
    """How a sample is written on the wire."""

    MULAW = "mulaw"
    ALAW = "alaw"
    L16 = "l16"
    """Little-endian, as every platform here sends it; not RFC 2586's network order."""

    @property
    def width(self) -> int:
        """Bytes a sample."""
        return 2 if self is Codec.L16 else 1


def _mulaw() -> Samples:
    code = ~np.arange(256, dtype=np.uint8) & 0xFF
    exponent = (code >> 4) & 7
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 132 << exponent) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = (code & 0x0F).astype(np.int32) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, mantissa + 264 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_TABLES = {Codec.MULAW: _mulaw(), Codec.ALAW: _alaw()}


def decode(codec: Codec, payload: bytes) -> Samples:
    """Return the samples; raises ValueError for half a sample."""
    if codec is Codec.L16:
        return np.frombuffer(payload, dtype="<i2").astype(np.int16, copy=False)
    return _TABLES[codec][np.frombuffer(payload, dtype=np.uint8)]
