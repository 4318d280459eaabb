"""Memory: what the garbage collector looks at, and what goes back to the operating system."""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.runtime.tasks import Workers

EVERY = 10.0
"""Seconds: a burst of pictures leaves several megabytes behind, and another call's begins soon."""


def set_apart() -> None:
    """Let the garbage collector look only at what comes from now on.

    The program itself is 200,000 objects. With those among them a full collection held the event
    loop for a tenth of a second, and came so seldom that a hundred ended calls waited for it:
    aiortc's connections refer to themselves, and have memory that Python does not count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 3)
    # Without this the collector would wait for a quarter of what it has just set apart.
    gc.collect()


@asynccontextmanager
async def returned(workers: Workers, every: float = EVERY) -> AsyncIterator[None]:
    """Hand memory that was freed back to the system every so many seconds.

    glibc keeps what threads free for later, with holes that the next picture may not fit into: a
    third more than is in use, after a while. With another C library nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        yield
        return

    async def work() -> None:
        while True:
            await asyncio.sleep(every)
            # Some milliseconds, and without Python's lock.
            await asyncio.to_thread(trim, 0)

    async with workers.running([("memory", work)]):
        yield
