"""Who writes next: SQLite has one writer, and an alert must not wait behind notes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """One at a time, in the order of coming; who is `first` passes all that are not."""

    def __init__(self) -> None:
        self._taken = False
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def take(self, first: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, which lasts as long as the block."""
        if self._taken:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._first if first else self._others).append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if not waiting.cancelled():
                    # The turn had come already; nobody else would get it.
                    self._pass_on()
                raise
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        for queue in (self._first, self._others):
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    return
        self._taken = False
