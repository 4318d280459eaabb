"""What is judged of a call, told to whoever sends it, while it sends."""

import asyncio
from collections.abc import Awaitable, Callable

from monitor.runtime.channel import Channel
from monitor.runtime.tasks import begin, ended
from monitor.web.api.events import Event, EventStream, with_misses

_LAST_SECONDS = 5.0
"""For which a sender may take its time to read the last events."""

Tell = Callable[[Event], Awaitable[None]]


class Telling:
    """Passes a call's events on; one that reads too slowly misses the oldest, and is told so."""

    def __init__(self, events: EventStream, kinds: frozenset[str], tell: Tell) -> None:
        """`kinds` are those of `EVENTS`; that a call began and ended is always told."""
        self._events = events
        self._kinds = kinds | {"call"}
        self._tell = tell
        self._task: asyncio.Task[None] | None = None

    def begin(self, call: str) -> None:
        """Tell of this call from now on; before its first event, so right after its start."""
        reading = self._events.reading(call, self._kinds)
        channel = reading.__enter__()
        self._task = begin("telling", self._pass_on(channel))
        self._task.add_done_callback(lambda _: reading.__exit__(None, None, None))

    async def end(self) -> None:
        """Return once the call's end was told, or not been read for too long."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_LAST_SECONDS)
            await ended(self._task)

    async def _pass_on(self, channel: Channel[Event]) -> None:
        async for event in with_misses(channel):
            await self._tell(event)
            if event.kind == "call" and '"state":"ended"' in event.data:
                return
