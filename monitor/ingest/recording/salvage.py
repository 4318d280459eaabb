"""Damaged Matroska and WebM files, read so that one bad sector costs no more than what it held.

    Cluster [ block block blo▒▒▒▒▒▒▒▒▒▒ck block block ]   FFmpeg goes on at the next cluster
    Cluster [ block block Void──────────── block block ]   as it is given the file

Blocks tell their length, and so where the next one begins, but nothing marks a block's beginning.
Where the chain breaks, one begins again where several elements follow each other without a gap
(RFC 8794, RFC 9559).
"""

import io
import mmap
import struct
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from typing_extensions import Buffer

from monitor.ingest.recording.ebml import UNKNOWN, VOID, Element, element, sized, void

_HEAD, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_TRACKS, _ENTRY, _NUMBER = 0x1654AE6B, 0xAE, 0xD7
_TIME, _SIMPLE, _GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
_TOP = frozenset((0x114D9B74, 0x1549A966, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770,
                  0x1254C367, VOID, 0xBF))  # fmt: skip
"""Elements of a segment."""
_WITHIN = frozenset((_TIME, _SIMPLE, _GROUP, 0xAB, 0xA7, 0x5854, VOID, 0xBF))
"""Elements of a cluster."""
_RESERVED = 0x70
"""Flags of a block that mean nothing."""
_CHAIN = 4
"""Elements in a row that are believed to be some."""
_FARTHEST = 8 * 1024 * 1024
"""Bytes that are looked through for the next block."""
_NEW_HEAD, _NEW_TIME = 12, 10
"""Bytes of a cluster's head, and of its time."""

Patch = tuple[int, bytes]
"""What to read in place of what is at a position."""


def mended(path: Path) -> BinaryIO | None:
    """Return the file as FFmpeg can read it on past damage; None if it can as it is.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        if int.from_bytes(file.read(4), "big") != _HEAD:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            patches = list(_Scan(data).patches())
    return io.BufferedReader(_Patched(path, patches)) if patches else None


class _Scan:
    """Looks for breaks in the chain of elements."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._tracks: set[int] = set()
        self._after = 0
        """Time just after what was read."""

    def patches(self) -> Iterator[Patch]:
        """Yield what mends the file, in order; nothing where its head is not whole."""
        size = len(self._data)
        head = element(self._data, 0, size)
        if head is None or head.size == UNKNOWN:
            return
        segment = element(self._data, head.end, size)
        if segment is None or segment.id != _SEGMENT:
            return
        at = segment.begin
        end = size if segment.size == UNKNOWN else min(size, segment.end)
        while at < end:
            found = element(self._data, at, end)
            if found is not None and found.id == _CLUSTER:
                known = found.size != UNKNOWN
                at = yield from self._cluster(
                    found.begin, min(end, found.end) if known else None, end
                )
            elif found is not None and found.id in _TOP and found.size != UNKNOWN:
                if found.id == _TRACKS:
                    self._tracks = set(self._numbers(found))
                at = found.end
            elif self._tracks:
                at = yield from self._headless(at, end)
            else:
                return

    def _cluster(self, at: int, stop: int | None, end: int) -> Generator[Patch, None, int]:
        """Mend a cluster's content up to `stop`, or to where another element of the segment is."""
        limit = end if stop is None else stop
        time: int | None = None
        blocks = 0, 0
        head = at
        """Where the last element begins."""
        while at < limit:
            found = self._child(at, limit)
            if found is not None:
                head = at
                if found.id == _TIME:
                    time = self._number(found)
                elif found.id == _SIMPLE:
                    blocks = blocks[1], found.begin
                at = found.end
                continue
            if stop is None and self._is_top(at, end):
                break
            # The length of the last one may be what is wrong.
            next_ = self._resume(head + 2, limit, tops=stop is None)
            at = head if next_ < at else at
            if next_ >= end:
                # What breaks off is the end of what was recorded.
                return end
            made = b""
            if time is None and next_ - at >= _NEW_TIME + 2:
                time = self._guess(next_, limit)
                made = _timed(time)
            if next_ - at >= 2:
                yield at, made + void(next_ - at - len(made))
            at = head = next_
        if time is not None and all(blocks):
            before, last = (self._relative(block) for block in blocks)
            self._after = time + last + max(0, last - before)
        return at

    def _headless(self, at: int, end: int) -> Generator[Patch, None, int]:
        """Mend what comes after an element of the segment and is none: a cluster without head."""
        next_ = self._data.find(_CLUSTER.to_bytes(4, "big"), at + 1, end)
        stop = end if next_ < 0 else next_
        first = self._resume(at + _NEW_HEAD + _NEW_TIME + 2, stop, tops=True)
        if first < stop:
            # Its content begins with a hole, in which its time finds room.
            head = _CLUSTER.to_bytes(4, "big") + sized(stop - at - _NEW_HEAD)
            timed = _timed(self._guess(first, stop))
            yield at, head + timed + void(first - at - len(head) - len(timed))
            return (yield from self._cluster(first, stop, end))
        if stop < end and stop - at >= 2:
            yield at, void(stop - at)
        return stop

    def _guess(self, at: int, stop: int) -> int:
        """Time of a cluster whose blocks begin at `at`, so that what comes after follows them.

        Or, where nothing does, so that it follows what was before.
        """
        relative = set[int]()
        while (found := self._child(at, stop)) is not None:
            at = found.end
            if found.id == _SIMPLE:
                relative.add(self._relative(found.begin))
        next_ = self._data.find(_CLUSTER.to_bytes(4, "big"), at)
        after = self._begun(next_) if next_ >= 0 else None
        if after is None or len(relative) < 2:
            return self._after
        last, before = sorted(relative)[-1:-3:-1]
        return max(0, after - last - (last - before))

    def _begun(self, at: int) -> int | None:
        """Time of the cluster at `at`."""
        cluster, end = element(self._data, at, len(self._data)), len(self._data)
        at = cluster.begin if cluster is not None else end
        while (found := self._child(at, end)) is not None and found.id not in (_SIMPLE, _GROUP):
            if found.id == _TIME:
                return self._number(found)
            at = found.end
        return None

    def _relative(self, block: int) -> int:
        return int(struct.unpack_from(">h", self._data, block + 1)[0])

    def _number(self, element: Element) -> int:
        return int.from_bytes(self._data[element.begin : element.end], "big")

    def _resume(self, at: int, limit: int, tops: bool) -> int:
        """Where elements follow each other again; `limit` if nowhere."""
        for place in range(at, min(limit, at + _FARTHEST)):
            if self._data[place] in (_SIMPLE, _GROUP):
                if self._follows(place, limit, tops):
                    return place
            elif tops and self._data[place] == _CLUSTER >> 24 and self._is_top(place, limit):
                return place
        return limit

    def _follows(self, at: int, limit: int, tops: bool) -> bool:
        """Whether several elements of a cluster follow each other from `at`."""
        for _ in range(_CHAIN):
            found = self._child(at, limit)
            if found is None:
                return tops and self._is_top(at, len(self._data))
            at = found.end
            if at == limit:
                return True
        return True

    def _child(self, at: int, limit: int) -> Element | None:
        """An element of a cluster, if there is one at `at`."""
        found = element(self._data, at, limit)
        if found is None or found.id not in _WITHIN or found.size == UNKNOWN or found.end > limit:
            return None
        data = self._data
        if found.id == _SIMPLE:
            # Track numbers above 127 take two bytes; nobody has so many.
            track, flags = data[found.begin], data[found.begin + 3] if found.size > 4 else _RESERVED
            return found if track ^ 0x80 in self._tracks and not flags & _RESERVED else None
        if found.id == _GROUP and (found.size < 6 or data[found.begin] != _BLOCK):
            return None
        if found.id == _TIME and not 0 < found.size <= 8:
            return None
        return found

    def _is_top(self, at: int, end: int) -> bool:
        found = element(self._data, at, end)
        return found is not None and found.id in _TOP - _WITHIN

    def _numbers(self, tracks: Element) -> Iterator[int]:
        at = tracks.begin
        while (entry := element(self._data, at, tracks.end)) is not None:
            at = entry.end
            inner = entry.begin
            while (
                entry.id == _ENTRY and (found := element(self._data, inner, entry.end)) is not None
            ):
                inner = found.end
                if found.id == _NUMBER:
                    yield self._number(found)


def _timed(time: int) -> bytes:
    """A cluster's time."""
    return bytes((_TIME, 0x88)) + time.to_bytes(8, "big")


class _Patched(io.RawIOBase):
    """A file with some bytes replaced."""

    def __init__(self, path: Path, patches: Sequence[Patch]) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._patches = patches

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")
        begin = self._file.tell()
        count = self._file.readinto(view) or 0
        for at, data in self._patches:
            first, last = max(at, begin), min(at + len(data), begin + count)
            if first < last:
                view[first - begin : last - begin] = data[first - at : last - at]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
