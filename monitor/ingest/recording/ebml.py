"""Elements of Matroska's binary markup, read and written (RFC 8794). Pure."""

import mmap
from dataclasses import dataclass

UNKNOWN = -1
"""Size of an element that ends where one of its parent's begins."""
VOID = 0xEC
_LONGEST_ID = 4


@dataclass(frozen=True, slots=True)
class Element:
    """An element's head."""

    id: int
    begin: int
    """Byte after the head."""
    size: int
    """Bytes after the head, or UNKNOWN."""

    @property
    def end(self) -> int:
        """Byte after the element, if its size is known."""
        return self.begin + self.size


def element(data: bytes | mmap.mmap, at: int, end: int) -> Element | None:
    """Read the head at `at`, of an element that begins before `end`; None for what is none."""
    if at >= end or not data[at]:
        return None
    width = 9 - data[at].bit_length()
    after = at + width
    if width > _LONGEST_ID or after >= end or not data[after]:
        return None
    long = 9 - data[after].bit_length()
    begin = after + long
    if begin > end:
        return None
    most = (1 << 7 * long) - 1
    size = int.from_bytes(data[after:begin], "big") & most
    return Element(int.from_bytes(data[at:after], "big"), begin, UNKNOWN if size == most else size)


def sized(size: int) -> bytes:
    """A size in eight bytes."""
    return (1 << 56 | size).to_bytes(8, "big")


def void(length: int) -> bytes:
    """The head of an element of so many bytes, at least two, that says nothing."""
    if length < 9:
        return bytes((VOID, 0x80 | length - 2))
    return bytes((VOID,)) + sized(length - 9)
