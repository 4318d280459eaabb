"""Blocking work of one source in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from monitor.threads import named

T = TypeVar("T")


async def run_in_own_thread(name: str, work: Callable[[], T]) -> T:
    """Run `work` in a new daemon thread and return its result or raise its exception.

    Not the loop's executor: that has a handful of threads, and a source that plays for hours
    would hold one of them. When this is cancelled the thread goes on until `work` notices.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def target() -> None:
        named(name)
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001
            # Whatever it is, the waiting task has to hear of it.
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            # The loop has been closed meanwhile: nobody waits any more.
            return

    threading.Thread(target=target, name=name, daemon=True).start()
    return await future
