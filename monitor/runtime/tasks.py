"""Tasks of the event loop: each has an owner, and none dies unheard.

begin      somebody is told when it dies: the owner ends, or does without
awaited    its owner waits for what it returns or raises
Workers    what has to last as long as the service: begun again, and known when that fails
overhear   the rest: tasks of libraries, which nobody waits for
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from monitor.runtime import failures

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, None]]

_AGAIN_FIRST, _AGAIN_LIMIT = 0.5, 30.0
"""Seconds before a worker that died is begun again: doubled each time, up to the limit."""
_STEADY = 60.0
"""Seconds that a worker must have run to count as well again."""
MOST_DEATHS = 5
"""In a row; a worker that still dies is given up by `/healthz`, not by us."""
OTHER = "other"
"""What tasks of libraries are counted as."""


def begin(
    name: str,
    work: Coroutine[Any, Any, T],
    died: Callable[[BaseException], None] | None = None,
) -> asyncio.Task[T]:
    """Begin a task; if it dies of an error that is logged, counted, and `died` hears it.

    Without `died` nothing depends on it. `name` is one of a closed set.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(partial(_ended, name, died))
    return task


def awaited(name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin a task whose owner awaits it, and so hears what it raises."""
    return asyncio.create_task(work, name=name)


def answer(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    """Settle, from a thread, a future of an event loop; nothing happens once the loop is closed."""
    if isinstance(error, StopIteration):
        # No future takes one, and who waits would wait for ever.
        error = RuntimeError(f"StopIteration: {error}")
    try:
        future.get_loop().call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        # Without a loop nobody waits any more.
        return
    finally:
        del future, result, error


def _settle(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


async def ended(*found: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until they are over; what they died of was heard."""
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)


def _ended(
    name: str, died: Callable[[BaseException], None] | None, task: "asyncio.Task[Any]"
) -> None:
    error: BaseException | None
    if task.cancelled():
        if task.cancelling():
            return
        # Something that it waited for was cancelled under it.
        error = asyncio.CancelledError()
    else:
        error = task.exception()
    if error is None:
        return
    failures.heard(name, error)
    if died is not None:
        died(error)


@dataclass(slots=True)
class _Worker:
    name: str
    deaths: int = 0
    """In a row."""
    since: float = 0.0
    """When it was last begun."""


class Workers:
    """Those of one service."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, again: float = _AGAIN_FIRST
    ) -> None:
        """`clock` gives seconds; `again` is the first wait before a worker is begun again."""
        self._clock = clock
        self._again = again
        self._workers: list[_Worker] = []

    @property
    def dead(self) -> tuple[str, ...]:
        """Names of those that died again and again, and are not well yet."""
        now = self._clock()
        return tuple(
            w.name
            for w in self._workers
            if w.deaths >= MOST_DEATHS and not (w.since and now - w.since >= _STEADY)
        )

    @asynccontextmanager
    async def running(self, works: Iterable[tuple[str, Work]]) -> AsyncIterator[None]:
        """Run workers until the block ends; one that returns has nothing to do."""
        workers = [(_Worker(name), work) for name, work in works]
        self._workers += [worker for worker, _ in workers]
        tasks = [awaited(worker.name, self._keep(worker, work)) for worker, work in workers]
        try:
            yield
        finally:
            await ended(*tasks)
            for worker, _ in workers:
                self._workers.remove(worker)

    async def _keep(self, worker: _Worker, work: Work) -> None:
        while True:
            worker.since = began = self._clock()
            try:
                return await work()
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                failures.heard(worker.name, error)
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the service must not go on without this worker.
                failures.heard(worker.name, error)
            if self._clock() - began >= _STEADY:
                worker.deaths = 0
            worker.deaths += 1
            worker.since = 0.0
            await asyncio.sleep(min(_AGAIN_LIMIT, self._again * 2.0 ** (worker.deaths - 1)))


def overhear(loop: asyncio.AbstractEventLoop) -> None:
    """Log and count what the loop is told of because nobody else was there to hear it."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        else:
            failures.heard(OTHER, error, detail=str(context.get("message", "")))

    loop.set_exception_handler(handle)
