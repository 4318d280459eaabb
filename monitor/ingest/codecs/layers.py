"""Pictures of VP9 and AV1 out of RTP packets, as decoders take them. Pure.

A picture is kept as its packets' payloads, each behind its length, until all of it is there:

    payload  payload  payload   ──►   VP9: frames (RFC 9628)     AV1: OBUs with sizes

Layers of one moment stay together: the decoder shows the largest it has.
"""

import struct
from collections.abc import Iterator

from monitor.ingest.codecs.video_payload import picture_format

_LENGTH = struct.Struct(">I")
_DELIMITER, _SEQUENCE, _TILE_LIST, _PADDING = 2, 1, 8, 15
"""Types of OBU; a delimiter, a list of tiles and padding are not for the decoder."""
_EXTENSION, _SIZED = 0x04, 0x02
LAYERED = frozenset({"vp9", "av1"})
"""Codecs whose pictures are kept so."""


def kept(payload: bytes) -> bytes:
    """A packet's payload, to be joined with others of the same picture."""
    return _LENGTH.pack(len(payload)) + payload


def picture(codec: str, data: bytes) -> bytes:
    """Return what the decoder takes of joined payloads; raises ValueError if they make none."""
    payloads = list(_payloads(data))
    if codec == "vp9":
        format_ = picture_format("vp9")
        assert format_ is not None
        return b"".join(format_.depayload(payload) for payload in payloads)
    return b"".join(_sized(unit) for unit in _units(payloads))


def begins_sequence(data: bytes) -> bool:
    """Whether an AV1 picture, as `picture` returns it, has a sequence header: a key frame."""
    at = 0
    while at < len(data):
        head = data[at]
        if head >> 3 & 0x0F == _SEQUENCE:
            return True
        at += 2 if head & _EXTENSION else 1
        try:
            size, at = _number(data, at)
        except ValueError:
            return False
        at += size
    return False


def _payloads(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _units(payloads: list[bytes]) -> Iterator[bytes]:
    """Yield OBUs whole: an element may go on in the next packet (AV1's RTP format, section 4)."""
    open_: bytes | None = None
    for payload in payloads:
        elements, continues, more = _elements(payload)
        if continues != (open_ is not None):
            raise ValueError("a part of an OBU without the other")
        if open_ is not None:
            elements[0] = open_ + elements[0]
        open_ = elements.pop() if more else None
        yield from elements
    if open_ is not None:
        raise ValueError("an OBU that is not whole")


def _elements(payload: bytes) -> tuple[list[bytes], bool, bool]:
    """Elements of a packet; whether the first goes on from the packet before, and the last on."""
    if len(payload) < 2:
        raise ValueError("a packet without an element")
    head, at = payload[0], 1
    count = head >> 4 & 0x03
    found: list[bytes] = []
    while at < len(payload):
        if count and len(found) == count - 1:
            size = len(payload) - at
        else:
            size, at = _number(payload, at)
        if not size or at + size > len(payload):
            raise ValueError("an element that is not whole")
        found.append(payload[at : at + size])
        at += size
    if count and len(found) != count:
        raise ValueError("fewer elements than were said")
    return found, bool(head & 0x80), bool(head & 0x40)


def _sized(unit: bytes) -> bytes:
    """An OBU that says its size; nothing for one that decoders do not take."""
    head = unit[0]
    if head >> 3 & 0x0F in (_DELIMITER, _TILE_LIST, _PADDING):
        return b""
    if head & _SIZED:
        return unit
    split = 2 if head & _EXTENSION else 1
    if len(unit) < split:
        raise ValueError("an OBU without its extension")
    body = unit[split:]
    return bytes([head | _SIZED]) + unit[1:split] + _leb128(len(body)) + body


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    value = 0
    for place in range(8):
        if at >= len(data):
            raise ValueError("a length that is not whole")
        value |= (data[at] & 0x7F) << 7 * place
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise ValueError("a length of too many bytes")


def _leb128(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
