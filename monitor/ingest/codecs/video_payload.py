"""What one RTP packet of pictures adds to the picture, as decoders take it. Pure.

H.264   RFC 6184   NAL units with start codes        VP8   RFC 7741   frames
H.265   RFC 7798   NAL units with start codes        VP9   RFC 9628   frames
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload

_START = b"\0\0\0\1"
_AGGREGATION, _FRAGMENT, _EXTENDED = 48, 49, 50
"""NAL unit types of H.265 that are RTP's own."""
_SETS = {
    "h264": ("sprop-parameter-sets",),
    "h265": ("sprop-vps", "sprop-sps", "sprop-pps"),
}
"""Parameters of a=fmtp that hold what a decoder needs first."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """How the packets of one payload type are read."""

    codec: str
    """FFmpeg's name."""
    depayload: Callable[[bytes], bytes]
    """Raises ValueError for a packet that cannot be read."""
    sets: bytes = b""
    """NAL units that the description says instead of the stream, with start codes."""


def picture_format(name: str, parameters: str = "") -> PictureFormat | None:
    """Return how an encoding is read, `parameters` as in a=fmtp; None for one that is not."""
    name = name.lower()
    if name not in _KNOWN:
        return None
    codec, depayload = _KNOWN[name]
    return PictureFormat(codec, depayload, _sets(parameters, _SETS.get(name, ())))


def _sets(parameters: str, names: tuple[str, ...]) -> bytes:
    found = re.findall(r"([\w-]+)=([^;\s]*)", parameters)
    told = {key.lower(): value for key, value in found}
    units: list[bytes] = []
    for name in names:
        for unit in told.get(name, "").split(","):
            try:
                units.append(base64.b64decode(unit + "=" * (-len(unit) % 4), validate=True))
            except (binascii.Error, ValueError):
                continue
    return b"".join(_START + unit for unit in units if unit)


def _h265(payload: bytes) -> bytes:
    if len(payload) < 3:
        raise ValueError("a NAL unit that is too short")
    kind = payload[0] >> 1 & 0x3F
    if kind < _AGGREGATION:
        return _START + payload
    if kind == _FRAGMENT:
        begins, inner = payload[2] & 0x80, payload[2] & 0x3F
        head = bytes([payload[0] & 0x81 | inner << 1, payload[1]])
        return (_START + head if begins else b"") + payload[3:]
    if kind != _AGGREGATION:
        raise ValueError("a kind of packet that is not known")
    units, at = b"", 2
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        if not size or at + 2 + size > len(payload):
            raise ValueError("NAL units that are not whole")
        units += _START + payload[at + 2 : at + 2 + size]
        at += 2 + size
    return units


def _vp9(payload: bytes) -> bytes:
    at = 1

    def byte() -> int:
        nonlocal at
        at += 1
        return payload[at - 1]

    try:
        flags = payload[0]
        predicted, flexible = flags & 0x40, flags & 0x10
        if flags & 0x80 and byte() & 0x80:
            byte()
        if flags & 0x20:
            byte()
            if not flexible:
                byte()
        if flexible and predicted:
            while byte() & 1:
                pass
        if flags & 0x02:
            structure = byte()
            at += 4 * ((structure >> 5) + 1) if structure & 0x10 else 0
            for _ in range(byte() if structure & 0x08 else 0):
                references = byte() >> 2 & 0x03
                at += references
    except IndexError:
        raise ValueError("a payload descriptor that is not whole") from None
    if at >= len(payload):
        raise ValueError("a packet without a picture")
    return payload[at:]


_KNOWN: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "h264": ("h264", h264_depayload),
    "h265": ("hevc", _h265),
    "vp8": ("vp8", vp8_depayload),
    "vp9": ("vp9", _vp9),
}
