"""A fixed pool of threads for everything that computes longer than the event loop may wait."""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Executor:
    """Inference threads, one per core unless told otherwise.

    Its own pool: the loop's default executor serves name look-ups and files, and would starve.
    """

    def __init__(
        self, threads: int = 0, observe: Callable[[str, float, float], None] | None = None
    ) -> None:
        """`threads` 0 means one per core; `observe(stage, waited, ran)` hears seconds."""
        self.threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="inference")
        self._observe = observe

    async def run(self, stage: str, work: Callable[[], T]) -> T:
        """Run `work` on the pool; `stage` names it in metrics."""
        asked = time.monotonic()

        def timed() -> tuple[T, float, float]:
            began = time.monotonic()
            result = work()
            return result, began - asked, time.monotonic() - began

        loop = asyncio.get_running_loop()
        result, waited, ran = await loop.run_in_executor(self._pool, timed)
        if self._observe is not None:
            self._observe(stage, waited, ran)
        return result

    def close(self) -> None:
        """Finish what runs and stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
