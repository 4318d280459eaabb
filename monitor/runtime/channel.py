"""Bounded hand-over between tasks: newest wins and drops are counted, or the sender waits."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosedError(Exception):
    """Nobody will receive what was being sent."""


class Channel(Generic[T]):
    """A queue with a capacity, for one event loop; `dropped` counts what it threw away."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._closed = False
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether nothing more is accepted."""
        return self._closed

    def put(self, item: T) -> bool:
        """Add an item; when full, drop the oldest. Returns False if one was dropped."""
        if self._closed:
            return True
        kept = True
        if len(self._items) >= self._capacity:
            self._items.popleft()
            self.dropped += 1
            kept = False
        self._items.append(item)
        self._update()
        return kept

    async def send(self, item: T) -> None:
        """Add an item; when full, wait for room. Raises ChannelClosedError once closed."""
        while len(self._items) >= self._capacity and not self._closed:
            await self._room.wait()
        if self._closed:
            raise ChannelClosedError
        self._items.append(item)
        self._update()

    def close(self) -> None:
        """Accept nothing more; receivers still get what is queued."""
        self._closed = True
        self._ready.set()
        self._room.set()

    def abandon(self) -> None:
        """Close and forget what is queued: the receiver is gone."""
        self._items.clear()
        self.close()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            while not self._items:
                if self._closed:
                    return
                await self._ready.wait()
            item = self._items.popleft()
            self._update()
            yield item

    def _update(self) -> None:
        if self._closed:
            return
        if self._items:
            self._ready.set()
        else:
            self._ready.clear()
        if len(self._items) < self._capacity:
            self._room.set()
        else:
            self._room.clear()
