"""What the bytes of a recording say about it, where FFmpeg would guess or stop early.

joined parts     RIFF…WAVE ███ RIFF…WAVE ███      FFmpeg plays the first
stated length    fLaC 2400000 samples             proves that a file was cut short
guessed length   AAC frames, nothing else         FFmpeg tells one all the same
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from monitor.ingest.recording.length import BOX, Bytes, boxes, stated_length, u32le

_W64 = re.compile(
    rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00.{8}wave\xf3\xac\xd3\x11", re.DOTALL
)
"""Sony's Wave64: names of 16 bytes, lengths of 8."""
_JOINED = (
    (b"WAVE", 8, re.compile(rb"(?:RIFF|RF64|BW64).{4}WAVE", re.DOTALL)),
    (b"wave\xf3\xac\xd3\x11", 24, _W64),
    (b"AIF", 8, re.compile(rb"FORM.{4}AIF[FC]", re.DOTALL)),
    (b"#!AMR", 0, re.compile(rb"#!AMR(?:-WB)?\n")),
    (b"caff", 0, re.compile(rb"caff\x00\x01\x00\x00desc")),
    (b"FLV\x01", 0, re.compile(rb"FLV\x01[\x01\x04\x05]\x00{3}\x09\x00{4}")),
    (b"fLaC", 0, re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")),
    (b"\x1a\x45\xdf\xa3", 0, re.compile(rb"\x1a\x45\xdf\xa3.{1,80}?\x42\x82.[wm]", re.DOTALL)),
)
"""Headers after which FFmpeg reads no second one, or decodes what follows as it did the first:
what to look for, how far into the header that is, and the header's beginning."""
_OGG_PAGE = 27
"""Bytes of an Ogg page's header before its table of lengths."""
_OGG_BEGIN = b"OggS\x00\x02"
"""A page that begins a logical stream."""
_MOST_PARTS = 10_000
"""What is joined further on is heard as far as FFmpeg does."""
_UNKNOWN = 0x7FFF0000
"""A WAV's data size from here on is what recorders write that do not know it yet (SoX 0x7FFFF000,
FFmpeg and others 0xFFFFFFFF), unless the file is as large."""


@dataclass(frozen=True, slots=True)
class Part:
    """A recording that was joined to others, or the file."""

    start: int
    """Bytes of the file that lie before it."""
    end: int | None
    """Bytes of the file up to its end; None for a file that is one recording."""
    length: float | None
    """Seconds that it states, 0 if it does not; None if what FFmpeg tells is what it states."""
    header_short: bool
    """Whether it is a WAV that goes on after the end that its header states."""


def parts(path: Path) -> list[Part]:
    """Return the recordings in a file, in order; none if it is no regular file or empty.

    Raises OSError.
    """
    if not path.is_file() or not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return read_parts(data)


def read_parts(data: Bytes) -> list[Part]:
    """Return the recordings in a file's bytes; whatever they are, nothing is raised."""
    size = len(data)
    starts = list(islice(_starts(data), _MOST_PARTS))
    if len(starts) == 1:
        return [replace(_part(data, 0, size), end=None)]
    ends = [*starts[1:], size]
    return [_part(data, start, end) for start, end in zip(starts, ends, strict=True)]


def _starts(data: Bytes) -> Iterator[int]:
    if data[4:BOX] == b"ftyp":
        yield 0
        yield from _later_films(data)
    elif data[: len(_OGG_BEGIN)] == _OGG_BEGIN:
        yield from _chain(data)
    else:
        for mark, ahead, header in _JOINED:
            if header.match(data):
                found = (at - ahead for at in _found(data, mark))
                yield from (at for at in found if at >= 0 and header.match(data, at))
                return
        yield 0


def _found(data: Bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def _chain(data: Bytes) -> Iterator[int]:
    """Where the links of a chained Ogg begin: with the pages that begin all of its streams."""
    next_page = -1
    for at in _found(data, _OGG_BEGIN):
        if at != next_page:
            yield at
        table = at + _OGG_PAGE
        segments = int.from_bytes(data[table - 1 : table], "little")
        next_page = table + segments + sum(data[table : table + segments])


def _later_films(data: Bytes) -> Iterator[int]:
    complete = False
    for kind, start, _ in boxes(data, 0, len(data)):
        if kind == b"ftyp" and complete:
            yield start - BOX
            complete = False
        complete = complete or kind == b"moov"


def _part(data: Bytes, start: int, end: int) -> Part:
    head = data[start : start + 16]
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav(data, start, end)
    return Part(start, end, stated_length(data, start, end), header_short=False)


def _wav(data: Bytes, start: int, end: int) -> Part:
    at, large, rate = start + 12, 0, 0
    while at + 8 <= end:
        name, size = data[at : at + 4], u32le(data, at + 4)
        if name == b"fmt ":
            rate = u32le(data, at + 16)
        elif name == b"ds64":
            large = int.from_bytes(data[at + 16 : at + 24], "little")
        elif name == b"data":
            break
        at += 8 + size + size % 2
    else:
        return Part(start, end, 0.0, header_short=False)
    begin = at + 8
    if size == 0xFFFFFFFF and 0 < large < 1 << 62:
        size = large
    if size == 0 or (size >= _UNKNOWN and begin + size > end):
        return Part(start, end, 0.0, header_short=True)
    if begin + size > end + 1:
        # FFmpeg makes the length that of what is there.
        return Part(start, end, size / rate if rate else None, header_short=False)
    if _is_trailer(data, begin + size, end):
        return Part(start, end, None, header_short=False)
    return Part(start, end, 0.0, header_short=True)


def _is_trailer(data: Bytes, at: int, end: int) -> bool:
    """Whether what follows a WAV's sound is no sound: chunks, a tag, less than a chunk."""
    at += at % 2 if at < end and data[at] == 0 else 0
    while at + 8 <= end:
        name, size = data[at : at + 4], u32le(data, at + 4)
        if name[:3] == b"TAG" and end - at <= 128:
            return True
        if not all(32 <= byte < 127 for byte in name) or at + 8 + size > end + 1:
            return False
        at += 8 + size
        at += at % 2 if at < end and data[at] == 0 else 0
    return True
