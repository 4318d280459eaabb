"""Blocking work of one source in a thread of its own."""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from monitor.runtime import threads
from monitor.runtime.tasks import answer

T = TypeVar("T")


async def run_in_own_thread(name: str, work: Callable[[], T]) -> T:
    """Run `work` in a new daemon thread and return its result or raise its exception.

    Not the loop's executor: that has a handful of threads, and a source that plays for hours
    would hold one of them. When this is cancelled the thread goes on until `work` notices.
    Raises RuntimeError where the system has no further thread.
    """
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    # With the context, so that what it logs names the call.
    run = partial(contextvars.copy_context().run, _run, future, work)
    threads.begin(name, name, run, lasting=False)
    del run
    try:
        return await future
    finally:
        # An exception knows the frames it passed, and the future knows the exception. In such a
        # circle what the work held (decoders, the threads that scale pictures) would stay until a
        # collection, which may take minutes to come.
        del future


def _run(future: "asyncio.Future[T]", work: Callable[[], T]) -> None:
    """The thread's own work."""
    result: T | None = None
    error: BaseException | None = None
    try:
        result = work()
    except BaseException as caught:  # noqa: BLE001
        # Whatever it is, the waiting task has to hear of it.
        error = caught
    try:
        answer(future, result, error)
    finally:
        del result, error, future
