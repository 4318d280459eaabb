"""Blocking work of one source in a thread of its own."""

import asyncio
import contextvars
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
    threading.Thread(
        target=contextvars.copy_context().run,
        args=(_run, loop, future, name, work),
        name=name,
        daemon=True,
    ).start()  # fmt: skip
    try:
        return await future
    finally:
        # An exception knows the frames it passed, and the future knows the exception. In such a
        # circle what the work held (decoders, the threads that scale pictures) would stay until a
        # collection, which may take minutes to come.
        del future


def _run(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[T]",
    name: str,
    work: Callable[[], T],
) -> None:
    """The thread's own work."""
    named(name)
    result: T | None = None
    error: BaseException | None = None
    try:
        result = work()
    except BaseException as caught:  # noqa: BLE001
        # Whatever it is, the waiting task has to hear of it.
        error = caught
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        # The loop has been closed meanwhile: nobody waits any more.
        return
    finally:
        del result, error, future


def _settle(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]
