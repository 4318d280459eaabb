"""A fixed pool of threads for everything that computes longer than the event loop may wait."""

import asyncio
import itertools
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from monitor.runtime import failures, threads
from monitor.runtime.tasks import answer

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
        self._begun = False

    @property
    def missing(self) -> int:
        """Threads that are dead, or that the system does not give; 0 before the first work."""
        alive = sum(thread.is_alive() for thread in self._pool)
        return self.threads - alive if self._begun else 0

    async def run(self, stage: str, work: Callable[[], T]) -> T:
        """Run `work` on the pool; `stage` names it in metrics and says how urgent it is.

        Raises what `work` raises, and RuntimeError if there is no thread to run it.
        """
        self._fill()
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
        now = time.monotonic()
        late = max(now - min(list(self._waiting.values()), default=now), self._longest)
        self._longest = 0.0
        return late

    def close(self) -> None:
        """Finish what runs and stop the threads."""
        for _ in self._pool:
            self._jobs.put(_Job(-1, next(self._numbers), 0.0, lambda: None, None))
        for thread in self._pool:
            thread.join()
        self._pool.clear()
        self._begun = False

    def _fill(self) -> None:
        """Begin the threads that are not there; raises RuntimeError if not one can be had."""
        self._begun = True
        self._pool = [thread for thread in self._pool if thread.is_alive()]
        try:
            for number in range(len(self._pool), self.threads):
                name = f"inference-{number}"
                self._pool.append(threads.begin(name, "inference", self._work, lasting=True))
        except RuntimeError as error:
            if not self._pool:
                raise
            # The others do its work, and `missing` tells.
            failures.heard("inference", error)

    def _work(self) -> None:
        while (job := self._jobs.get()).future is not None:
            self._waiting.pop(job.number, None)
            # Who gave up waiting needs no answer.
            if job.future.cancelled():
                continue
            try:
                self._do(job, job.future)
            except BaseException as error:
                # Not the work's fault but the thread's own; who waits has to hear of it, too.
                answer(job.future, None, error)
                raise

    def _do(self, job: _Job, future: asyncio.Future[Any]) -> None:
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
        answer(future, result, error)
