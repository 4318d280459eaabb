"""The bundle's outside: a tar file (POSIX ustar) that can be written in one way only. Pure.

Tar, because one file is copied, mailed and renamed whole, every system opens it, and nothing in it
is compressed: a player or a hash program reads a part where it lies. In one way only (fixed owner,
time and mode), so that whatever a bit flips, even outside every part, is noticed and named.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_BLOCK = 512
LONGEST_NAME = 99
"""Bytes of a part's name."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a container holds."""

    parts: Mapping[str, bytes]
    """By name, in order."""
    faults: tuple[str, ...]
    """What is wrong with the container itself, in words."""


def pack(parts: Mapping[str, bytes]) -> bytes:
    """Return the container; raises ValueError for a name that does not fit."""
    blocks: list[bytes] = []
    for name, data in parts.items():
        blocks += [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]
    return b"".join([*blocks, bytes(2 * _BLOCK)])


def unpack(data: bytes) -> Contents:
    """Read a container as far as it can be read; never raises."""
    parts: dict[str, bytes] = {}
    faults: list[str] = []
    at = 0
    while at < len(data):
        block = data[at : at + _BLOCK]
        if not any(block):
            break
        found = _read_header(block)
        if found is None:
            faults.append(f"container: the header at byte {at} is damaged")
            at = _next_header(data, at + _BLOCK)
            continue
        name, size = found
        at += _BLOCK
        part = data[at : at + size]
        if len(part) < size:
            faults.append(f"container: cut short inside {name}")
        if name in parts:
            faults.append(f"container: {name} is there twice")
        parts.setdefault(name, part)
        padding = data[at + size : at + size + -size % _BLOCK]
        if any(padding):
            faults.append(f"container: the padding after {name} is not empty")
        at += size + -size % _BLOCK
    tail = data[at:]
    if tail != bytes(2 * _BLOCK):
        faults.append(f"container: does not end as it must ({len(tail)} bytes after the parts)")
    return Contents(parts, tuple(faults))


def sha256(data: bytes) -> str:
    """Hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _header(name: str, size: int) -> bytes:
    encoded = name.encode("ascii")
    if not encoded or len(encoded) > LONGEST_NAME:
        raise ValueError(f"{name!r} is no name of a part")

    def field(text: Iterable[int] | bytes, width: int) -> bytes:
        return bytes(text).ljust(width, b"\0")

    header = (
        field(encoded, 100)
        + b"0000600\0" + b"0000000\0" + b"0000000\0"
        + f"{size:011o}\0".encode() + b"00000000000\0" + b" " * 8 + b"0"
        + bytes(100) + b"ustar\0" + b"00" + bytes(64) + b"0000000\0" + b"0000000\0"
    )  # fmt: skip
    header = header.ljust(_BLOCK, b"\0")
    return header[:148] + f"{sum(header):06o}\0 ".encode() + header[156:]


def _read_header(block: bytes) -> tuple[str, int] | None:
    """Name and size, if the block is one that `_header` writes."""
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        # No sign, which `int` would take: a size below nothing would be read for ever.
        digits = re.fullmatch(rb"[0-7]{11}", block[124:135])
        if digits is None:
            return None
        size = int(digits[0], 8)
        return (name, size) if _header(name, size) == block else None
    except (UnicodeDecodeError, ValueError):
        return None


def _next_header(data: bytes, at: int) -> int:
    """Where the next intact header begins, or the end of the parts."""
    while at < len(data) - 2 * _BLOCK and _read_header(data[at : at + _BLOCK]) is None:
        at += _BLOCK
    return at
