"""Speech encoders that FFmpeg as PyAV carries it lacks, by Debian's libraries.

GSM 06.10 full rate (libgsm1), Speex (libspeex1), AMR-WB (libvo-amrwbenc0) and Codec 2
(libcodec2-1.0). G.729 is in `g729`.
"""

import ctypes
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
_SAMPLES = ctypes.POINTER(ctypes.c_int16)
GSM_FRAME, GSM_BYTES = 160, 33
AMR_WB_FRAME = 320
AMR_WB_RATES = (6_600, 8_850, 12_650, 14_250, 15_850, 18_250, 19_850, 23_050, 23_850)
"""bit/s of AMR-WB's nine modes, in order."""
_SPEEX_RATES = {2_150: 0, 5_950: 2, 8_000: 4, 11_000: 5, 15_000: 7, 18_200: 8}
"""bit/s and the quality setting of Speex's narrow mode that comes to it."""
_CODEC2_MODES = {3_200: 0, 2_400: 1, 1_600: 2, 1_300: 4}
"""bit/s and libcodec2's number of the mode."""
_SET_QUALITY = 4
_SPEEX_PACKET = 256
"""Bytes; the largest narrow frame has 62."""


def gsm(samples: Pcm) -> Iterator[bytes]:
    """Frames of 8 kHz sound, 33 bytes for 20 ms; what is left of a last frame is dropped."""
    library = _library("libgsm.so.1", "libgsm1")
    library.gsm_create.restype = ctypes.c_void_p
    state, out = ctypes.c_void_p(library.gsm_create()), ctypes.create_string_buffer(GSM_BYTES)
    try:
        for frame in _frames(samples, GSM_FRAME):
            library.gsm_encode(state, frame.ctypes.data_as(_SAMPLES), out)
            yield out.raw
    finally:
        library.gsm_destroy(state)


def amr_wb(samples: Pcm, bit_rate: int) -> Iterator[bytes]:
    """Frames of 16 kHz sound in the storage format, for 20 ms; `bit_rate` of AMR_WB_RATES."""
    library = _library("libvo-amrwbenc.so.0", "libvo-amrwbenc0")
    library.E_IF_init.restype = ctypes.c_void_p
    state, out = ctypes.c_void_p(library.E_IF_init()), ctypes.create_string_buffer(64)
    mode = ctypes.c_int16(AMR_WB_RATES.index(bit_rate))
    try:
        for frame in _frames(samples, AMR_WB_FRAME):
            size = library.E_IF_encode(
                state, mode, frame.ctypes.data_as(_SAMPLES), out, ctypes.c_int16(0)
            )
            yield out.raw[:size]
    finally:
        library.E_IF_exit(state)


class _SpeexBits(ctypes.Structure):
    _fields_ = (
        ("chars", ctypes.c_char_p),
        ("bits", ctypes.c_int),
        ("char_at", ctypes.c_int),
        ("bit_at", ctypes.c_int),
        ("owner", ctypes.c_int),
        ("overflow", ctypes.c_int),
        ("size", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("more", ctypes.c_void_p),
    )


def speex_round_trip(samples: Pcm, bit_rate: int) -> Pcm:
    """8 kHz sound through Speex's encoder and decoder; whole frames of 20 ms."""
    library = _library("libspeex.so.1", "libspeex1")
    for name in ("speex_lib_get_mode", "speex_encoder_init", "speex_decoder_init"):
        getattr(library, name).restype = ctypes.c_void_p
    mode = ctypes.c_void_p(library.speex_lib_get_mode(0))
    encoder = ctypes.c_void_p(library.speex_encoder_init(mode))
    decoder = ctypes.c_void_p(library.speex_decoder_init(mode))
    sent, got = _SpeexBits(), _SpeexBits()
    quality, packet = ctypes.c_int(_SPEEX_RATES[bit_rate]), ctypes.create_string_buffer(256)
    parts: list[Pcm] = []
    library.speex_bits_init(ctypes.byref(sent))
    library.speex_bits_init(ctypes.byref(got))
    try:
        library.speex_encoder_ctl(encoder, _SET_QUALITY, ctypes.byref(quality))
        for frame in _frames(samples, GSM_FRAME):
            library.speex_bits_reset(ctypes.byref(sent))
            # The encoder works in place.
            library.speex_encode_int(encoder, frame.ctypes.data_as(_SAMPLES), ctypes.byref(sent))
            size = library.speex_bits_write(ctypes.byref(sent), packet, _SPEEX_PACKET)
            library.speex_bits_read_from(ctypes.byref(got), packet, size)
            heard = np.empty(GSM_FRAME, np.int16)
            library.speex_decode_int(decoder, ctypes.byref(got), heard.ctypes.data_as(_SAMPLES))
            parts.append(heard)
    finally:
        library.speex_encoder_destroy(encoder)
        library.speex_decoder_destroy(decoder)
        library.speex_bits_destroy(ctypes.byref(sent))
        library.speex_bits_destroy(ctypes.byref(got))
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def codec2_round_trip(samples: Pcm, bit_rate: int) -> Pcm:
    """8 kHz sound through Codec 2's encoder and decoder; whole frames of 20 or 40 ms."""
    library = _library("libcodec2.so.1.0", "libcodec2-1.0")
    library.codec2_create.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.codec2_create(_CODEC2_MODES[bit_rate]))
    size = library.codec2_samples_per_frame(state)
    packet = ctypes.create_string_buffer((library.codec2_bits_per_frame(state) + 7) // 8)
    parts: list[Pcm] = []
    try:
        for frame in _frames(samples, size):
            library.codec2_encode(state, packet, frame.ctypes.data_as(_SAMPLES))
            heard = np.empty(size, np.int16)
            library.codec2_decode(state, heard.ctypes.data_as(_SAMPLES), packet)
            parts.append(heard)
    finally:
        library.codec2_destroy(state)
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _frames(samples: Pcm, size: int) -> Iterator[Pcm]:
    """Whole frames, each a copy of its own."""
    for at in range(0, len(samples) - size + 1, size):
        yield np.array(samples[at : at + size], np.int16)


@cache
def _library(name: str, package: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise RuntimeError(f"{name}: install Debian's {package} ({error})") from error
