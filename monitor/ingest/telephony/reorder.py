"""Telephony chunks in the order of their numbers, for platforms that may mix it up. Pure."""

from collections.abc import Iterator

from monitor.ingest.telephony.dialect import Chunk

_DEPTH = 5
"""Chunks that wait for one that is late: 100 ms of the usual 20 ms."""
_ANEW = 50
"""Numbers by which a chunk must be behind to be no late one but the first of a new count."""

Arrived = tuple[Chunk, float]
"""A chunk and the monotonic second of its arrival."""


class Reorder:
    """Sorts one participant's chunks; none is thrown away but a second one of the same number."""

    def __init__(self) -> None:
        self._pending: dict[int, Arrived] = {}
        self._given: int | None = None
        """Number of the latest chunk given."""
        self._step = 1
        """From one to the next: more where the numbers are shared with another track."""

    def push(self, chunk: Chunk, arrived: float) -> Iterator[Arrived]:
        """Take a chunk; yield what is in order now."""
        number = chunk.number
        if number is None:
            yield chunk, arrived
            return
        if self._given is not None and number < self._given - _ANEW:
            yield from self.flush()
        if number == self._given or number in self._pending:
            return
        if self._given is not None and number < self._given:
            # Its place is given up, but it was spoken.
            yield chunk, arrived
            return
        self._pending[number] = chunk, arrived
        while self._pending:
            first = min(self._pending)
            waited = len(self._pending) > _DEPTH
            if self._given is not None and first > self._given + self._step and not waited:
                return
            if self._given is not None:
                self._step = first - self._given
            yield self._pop(first)

    def flush(self) -> Iterator[Arrived]:
        """Yield what is left; another count may follow."""
        while self._pending:
            yield self._pop(min(self._pending))
        self._given = None

    def _pop(self, number: int) -> Arrived:
        self._given = number
        return self._pending.pop(number)
