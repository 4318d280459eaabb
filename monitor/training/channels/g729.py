"""G.729 encoding (ITU-T G.729 Annexes A and B) by `libbcg729`: FFmpeg can only decode it."""

import ctypes
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 8_000
FRAME = 80
"""Samples: 10 ms."""
_LIBRARY = "libbcg729.so.0"


def encode(samples: NDArray[np.int16], pauses: bool = False) -> Iterator[bytes]:
    """Yield the frames of 8 kHz sound, shape (samples,): 10 bytes for 10 ms.

    With `pauses` a silence is described in 2 bytes where it begins or changes, otherwise in none.
    What is left of a last frame is dropped. Raises RuntimeError without the library.
    """
    library = _library()
    channel = ctypes.c_void_p(library.initBcg729EncoderChannel(ctypes.c_uint8(pauses)))
    out, size = ctypes.create_string_buffer(10), ctypes.c_uint8()
    try:
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            frame = np.ascontiguousarray(samples[at : at + FRAME], np.int16)
            library.bcg729Encoder(channel, frame.ctypes.data_as(_SAMPLES), out, ctypes.byref(size))
            yield out.raw[: size.value]
    finally:
        library.closeBcg729EncoderChannel(channel)


_SAMPLES = ctypes.POINTER(ctypes.c_int16)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise RuntimeError(f"{_LIBRARY}: install Debian's libbcg729-0 ({error})") from error
    library.initBcg729EncoderChannel.restype = ctypes.c_void_p
    return library
