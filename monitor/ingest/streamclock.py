"""Telephony chunks → call time, in order. Pure but for the clock it is given."""

from collections.abc import Callable, Iterator

from monitor.ingest.dialect import Chunk

SLACK = 1.5
"""Seconds a stream may be behind or ahead of the call's clock before it is put right."""
_DEPTH = 5
"""Chunks that wait for one that is late: 100 ms of the usual 20 ms."""
_STEP = 0.005
"""Seconds by which timestamps are rounded."""


class StreamClock:
    """Maps one participant's stream seconds to call seconds.

    What flows without a break stays without a break. A stream that falls behind (it stopped
    and goes on now) leaves a hole; one that runs ahead (a stalled connection lets go of what
    is already booked as lost) is thinned until it is back.
    """

    def __init__(self, now: Callable[[], float], offset: float | None = None) -> None:
        """`now` gives call seconds; `offset` of another track of the same stream aligns both."""
        self._now = now
        self.offset = offset
        """Call seconds at stream second 0; None before the first chunk."""
        self._end = 0.0
        self._thinning = False

    def place(self, at: float, duration: float) -> float | None:
        """Return the call time of media at stream second `at`, or None to leave it out."""
        now = self._now()
        if self.offset is None or at + self.offset < now - SLACK:
            self.offset = max(now, self._end) - at
        start = at + self.offset
        self._thinning = start > now + (SLACK / 2 if self._thinning else SLACK)
        if self._thinning:
            # What comes next shall take the place this would have had.
            self.offset = self._end - (at + duration)
            return None
        self._end = max(self._end, start + duration)
        return start

    def forget(self) -> None:
        """Anchor anew at the next chunk."""
        self.offset = None


class Reorder:
    """Puts one participant's chunks in the order of their timestamps, within a small bound."""

    def __init__(self) -> None:
        self._pending: list[Chunk] = []
        self._next: float | None = None
        self.late = 0
        """Chunks that came after their place was given up."""

    def push(self, chunk: Chunk) -> Iterator[Chunk]:
        """Take a chunk; yield what is in order now."""
        if chunk.time is None:
            yield chunk
            return
        if self._next is not None and chunk.time < self._next - _STEP:
            if chunk.time > self._next - SLACK:
                self.late += 1
                return
            # Not late but a new count: the stream began again.
            yield from self.flush()
        self._pending.append(chunk)
        self._pending.sort(key=lambda c: c.time or 0.0)
        while self._pending and (
            self._next is None
            or (self._pending[0].time or 0.0) <= self._next + _STEP
            or len(self._pending) > _DEPTH
        ):
            yield self._pop()

    def flush(self) -> Iterator[Chunk]:
        """Yield what is left."""
        while self._pending:
            yield self._pop()
        self._next = None

    def _pop(self) -> Chunk:
        chunk = self._pending.pop(0)
        self._next = (chunk.time or 0.0) + chunk.duration
        return chunk
