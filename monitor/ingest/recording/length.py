"""How long a recording says that it is. Pure.

Ogg, MPEG streams, ADTS, AMR and bare samples have no place for it; FFmpeg tells a length all the
same: the last timestamp, or what the bit rate of the beginning would make of the file's size.
"""

import mmap
import re
import struct
from collections.abc import Callable, Iterator

Bytes = mmap.mmap | bytes

BOX = 8
"""Bytes of an MP4 box's size and type."""
_MOST_BOXES = 1_000_000
_LARGEST_INFO = 1 << 20
"""Bytes in which a Matroska file says its length: before the first cluster."""


def stated_length(data: Bytes, start: int, end: int) -> float | None:
    """Return the seconds that the recording in bytes `start` to `end` states, 0 if it does not.

    None if what FFmpeg tells is what it states.
    """
    begin = _after_id3(data, start)
    for matches, states in _STATES:
        if matches(data[begin : begin + 16]):
            return states(data, begin, end)
    return 0.0


def boxes(data: Bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, and where the content begins and ends, of each MP4 box."""
    at = start
    for _ in range(_MOST_BOXES):
        if at + BOX > end:
            return
        size, kind = struct.unpack(">I4s", data[at : at + BOX])
        begin = at + BOX
        if size == 1:
            size = int.from_bytes(data[begin : begin + 8], "big")
            begin += 8
        elif size == 0:
            size = end - at
        if size < begin - at or not all(32 <= byte < 127 or byte == 0xA9 for byte in kind):
            return
        yield kind, begin, min(at + size, end)
        at += size


def _wave64(data: Bytes, start: int, end: int) -> float | None:
    """Names of 16 bytes, lengths of 8 that count both, chunks at multiples of 8 bytes."""
    at, rate = start + 40, 0
    while at + 24 <= end:
        name, size = data[at : at + 4], int.from_bytes(data[at + 16 : at + 24], "little")
        if name == b"fmt ":
            rate = u32le(data, at + 32)
        if name == b"data" and rate and size >= 24:
            # FFmpeg makes the length that of what is there; recorders that crash leave none.
            return (size - 24) / rate if at + size > end and size < 1 << 62 else 0.0
        if size < 24:
            break
        at += size + -size % 8
    return 0.0


def _film(data: Bytes, start: int, end: int) -> float | None:
    moov = next((box for box in boxes(data, start, end) if box[0] == b"moov"), None)
    if moov is None:
        return 0.0
    inside = list(boxes(data, *moov[1:]))
    for kind, *extends in list(inside):
        if kind == b"mvex":
            inside += boxes(data, *extends)
    return None if any(_is_length(data, *box) for box in inside) else 0.0


def _is_length(data: Bytes, kind: bytes, begin: int, close: int) -> bool:
    """Whether a box of a film's header holds a length that is not zero."""
    if kind == b"mehd":
        return any(data[begin + 4 : close])
    if kind == b"mvhd":
        wide = data[begin : begin + 1] == b"\x01"
        length = data[begin + 24 : begin + 32] if wide else data[begin + 16 : begin + 20]
        return any(length) and any(byte != 0xFF for byte in length)
    return False


def _matroska(data: Bytes, start: int, end: int) -> float | None:
    info = data.find(b"\x15\x49\xa9\x66", start, min(end, start + _LARGEST_INFO))
    if info < 0:
        return 0.0
    head = data[info : min(end, info + 4096)]
    return None if b"D\x89\x84" in head or b"D\x89\x88" in head else 0.0


def _flac(data: Bytes, start: int, _: int) -> float | None:
    samples = int.from_bytes(data[start + 21 : start + 26], "big") & (1 << 36) - 1
    return None if samples else 0.0


def _mp3(data: Bytes, start: int, end: int) -> float | None:
    """From the frames that the first one counts; FFmpeg believes it only if the size fits."""
    head = data[start : min(end, start + 4096)]
    if len(head) < 4:
        return 0.0
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if rate == 3 or version == 1:
        return 0.0
    hertz = _MP3_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if version == 3 else 576
    for mark, counted, at in ((b"Xing", 7, 8), (b"Info", 7, 8), (b"VBRI", None, 14)):
        found = head.find(mark)
        if 0 <= found < len(head) - 18 and (counted is None or head[found + counted] & 1):
            return int.from_bytes(head[found + at : found + at + 4], "big") * samples / hertz
    return 0.0


def _avi(data: Bytes, start: int, end: int) -> float | None:
    head = data[start : min(end, start + 65536)]
    headers = [found.start() for found in re.finditer(b"strh", head)]
    return None if any(u32le(head, at + 40) for at in headers) else 0.0


def _caf(data: Bytes, start: int, end: int) -> float | None:
    at = start + 8
    while at + 12 <= end:
        size = int.from_bytes(data[at + 4 : at + 12], "big", signed=True)
        if data[at : at + 4] == b"data":
            return None if size >= 0 else 0.0
        if size < 0:
            break
        at += 12 + size
    return 0.0


def _asf(data: Bytes, start: int, end: int) -> float | None:
    at = data.find(_ASF_PROPERTIES, start, min(end, start + 65536))
    properties = data[at : at + 92]
    stated = at >= 0 and len(properties) == 92 and any(properties[64:72]) and not properties[88] & 1
    return None if stated else 0.0


_MP3_RATES = (44_100, 48_000, 32_000)
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STATES: tuple[tuple[Callable[[bytes], bool], Callable[[Bytes, int, int], float | None]], ...] = (
    (lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"), _film),
    (lambda head: head[:4] == b"\x1a\x45\xdf\xa3", _matroska),
    (lambda head: head[:4] == b"fLaC", _flac),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", _avi),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head[:4] == b"riff", _wave64),
    (lambda head: head[:4] == bytes.fromhex("3026b275"), _asf),
    # An MPEG audio frame whose layer is not 0, as that of AAC is.
    (
        lambda head: (
            head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0 and head[1] & 6 > 0
        ),
        _mp3,
    ),
    (lambda head: head[:4] in (b".snd", b"FORM", b"FLV\x01"), lambda *_: None),
)


def _after_id3(data: Bytes, start: int) -> int:
    if data[start : start + 3] != b"ID3":
        return start
    size = 0
    for byte in data[start + 6 : start + 10]:
        size = size << 7 | byte & 0x7F
    return start + 10 + size


def u32le(data: Bytes, at: int) -> int:
    """Return four bytes as a number, the least first."""
    return int.from_bytes(data[at : at + 4], "little")
