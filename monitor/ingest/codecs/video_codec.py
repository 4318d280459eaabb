"""Encoded pictures: where decoding can begin, and what decodes them."""

from typing import cast

import av
from av.video.codeccontext import VideoCodecContext

from monitor.ingest.codecs.layers import begins_sequence

_WHOLE = frozenset({"mjpeg", "png"})
"""Codecs of which every picture stands alone."""
_DECODERS = {"vp9": "libvpx-vp9", "av1": "libdav1d"}
"""FFmpeg's own for VP9 shows the smallest of several layers, and its own for AV1 needs hardware."""


def bound(most_pixels: int) -> dict[str, str]:
    """Options by which FFmpeg decodes no larger picture; a few kB can claim to be gigabytes."""
    return {"max_pixels": str(most_pixels)}


def decoder(codec: str, most_pixels: int) -> VideoCodecContext:
    """Return a decoder that uses no thread of its own, for pictures that are no larger."""
    # FFmpeg's own, for VP8 as well: libvpx keeps 2 MB more and copies each picture.
    made = cast(VideoCodecContext, av.CodecContext.create(_DECODERS.get(codec, codec), "r"))
    made.thread_count = 1
    made.options = bound(most_pixels)
    if codec in _WHOLE:
        # Without it half a file gives a picture whose rest is grey, and nothing says so.
        made.options["err_detect"] = "explode"
    return made


def is_key_frame(codec: str, data: bytes) -> bool:
    """Whether decoding can begin at this picture (NAL units: with start codes)."""
    if codec in _WHOLE:
        return True
    if codec == "vp8":
        return not data[0] & 1
    if codec == "av1":
        return begins_sequence(data)
    if codec == "vp9":
        # Profile 3 has one more bit before them: an existing frame is shown, frame type.
        bits = data[0] << 1 if data[0] & 0x30 == 0x30 else data[0]
        return not bits & 0x0C
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        if _is_key_unit(codec, data[at + 3]):
            return True
        at = data.find(b"\0\0\1", at + 3)
    return False


def begins_key_frame(codec: str, data: bytes) -> bool:
    """Whether these bytes are surely the first of a key frame."""
    if codec == "vp8":
        return data[3:6] == b"\x9d\x01\x2a"
    if codec == "vp9":
        return data[1:4] == b"\x49\x83\x42"
    return data[:4] == b"\0\0\0\1" and len(data) > 4 and _is_key_unit(codec, data[4])


def _is_key_unit(codec: str, head: int) -> bool:
    """Whether a NAL unit belongs to key frames alone."""
    if codec == "hevc":
        kind = head >> 1 & 0x3F
        return 16 <= kind <= 21 or 32 <= kind <= 34
    return head & 0x1F in (5, 7)
