"""A fixed pool of threads for everything that computes longer than the event loop may wait."""

import asyncio
import itertools
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from monitor.threads import named

T = TypeVar("T")

_URGENCY = {"voice": 0, "second_look": 1, "face": 2}
"""Of what waits, the voice comes first and physical cues come last."""
_LEAST = 3


@dataclass(order=True, slots=True)
class _Job:
    urgency: int
    number: int
    asked: float = field(compare=False)
    """Monotonic seconds."""
    work: Callable[[], Any] = field(compare=False)
    future: asyncio.Future[Any] | None = field(compare=False)
    """None tells a thread to stop."""
    timing: tuple[float, float, float] = field(compare=False, default=(0.0, 0.0, 0.0))
    """Seconds waited, seconds ran, CPU seconds."""


class Executor:
    """Inference threads, one per core unless told otherwise.

    Its own pool: the loop's default executor serves name look-ups and files, and would starve. It
    does what is urgent first, so that video never makes the voice wait.
    """

    def __init__(
        self, threads: int = 0, observe: Callable[[str, float, float, float], None] | None = None
    ) -> None:
        """`threads` 0 means one per core; `observe(stage, waited, ran, cpu)` hears seconds."""
        self.threads = threads or os.cpu_count() or 1
        self._observe = observe
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._waiting: dict[int, float] = {}
        """When each waiting job was asked for, the oldest first."""
        self._longest = 0.0
        """Seconds that a job waited which has begun since `lateness` was asked."""
        self._pool: list[threading.Thread] = []

    async def run(self, stage: str, work: Callable[[], T]) -> T:
        """Run `work` on the pool; `stage` names it in metrics and says how urgent it is."""
        while len(self._pool) < self.threads:
            name = f"inference-{len(self._pool)}"
            self._pool.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._pool[-1].start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        urgency = _URGENCY.get(stage, _LEAST)
        job = _Job(urgency, next(self._numbers), time.monotonic(), work, future)
        self._waiting[job.number] = job.asked
        self._jobs.put(job)
        result: T = await future
        if self._observe is not None:
            self._observe(stage, *job.timing)
        return result

    def lateness(self) -> float:
        """Longest seconds that work has waited for a thread since this was last asked."""
        # A copy: threads take jobs out meanwhile.
        asked = min(list(self._waiting.values()), default=time.monotonic())
        late = max(time.monotonic() - asked, self._longest)
        self._longest = 0.0
        return late

    def close(self) -> None:
        """Finish what runs and stop the threads."""
        for _ in self._pool:
            self._jobs.put(_Job(-1, next(self._numbers), 0.0, lambda: None, None))
        for thread in self._pool:
            thread.join()
        self._pool.clear()

    def _work(self) -> None:
        named("inference")
        while (job := self._jobs.get()).future is not None:
            self._waiting.pop(job.number, None)
            # Who gave up waiting needs no answer.
            if job.future.cancelled():
                continue
            began, spent = time.monotonic(), time.thread_time()
            waited = began - job.asked
            self._longest = max(self._longest, waited)
            result, error = None, None
            try:
                result = job.work()
            except BaseException as caught:  # noqa: BLE001
                # Whatever it is, the waiting task has to hear of it.
                error = caught
            job.timing = (waited, time.monotonic() - began, time.thread_time() - spent)
            # Without a loop nobody waits any more.
            with suppress(RuntimeError):
                job.future.get_loop().call_soon_threadsafe(_settle, job.future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
