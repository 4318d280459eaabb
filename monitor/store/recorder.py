"""The sink that keeps calls and timelines: collects, and writes a batch now and then."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.schema import wire
from monitor.schema.messages import ROW, StoreError
from monitor.store.batch import Batch, Begun, point
from monitor.store.calls import Calls
from monitor.types import Alert, Allowance, Outcome, Preview, Verdict

_log = log.get(__name__)

EVERY = 5.0
"""Seconds between two batches; what a crash may lose of a timeline."""
TOGETHER = 1.0
"""Seconds after a batch in which begins and ends of calls gather for the next."""
CAPACITY = 50_000
"""Windows kept while the database takes none; beyond it new ones are dropped, counted."""
CALLS = 10_000
"""Begins and ends of calls kept meanwhile."""


class Recorder:
    """Never waits for the database: `run` does."""

    def __init__(
        self,
        calls: Calls,
        metrics: Metrics,
        label: Callable[[str], str],
        allowance: Callable[[str, str], Allowance | None],
        timelines: bool = True,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`label` and `allowance` know a call's label, and why a participant may be synthetic."""
        self._calls = calls
        self._metrics = metrics
        self._label = label
        self._allowance = allowance
        self._timelines = timelines
        self._wall = wall
        self._batch = Batch()
        self._points = 0
        self._now = asyncio.Event()
        self._writing = asyncio.Lock()

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Note the begin; written at once, so that a crash finds the call open."""
        if len(self._batch.begun) < CALLS:
            self._batch.begun.append(Begun(call, self._label(call), ingest, self._wall()))
        else:
            self._metrics.store_dropped.labels("call").inc()
        self._now.set()

    def window(self, call: str, outcome: Outcome) -> None:
        """Note the window, if timelines are kept."""
        if not self._timelines:
            return
        if self._points >= CAPACITY:
            self._metrics.store_dropped.labels("window").inc()
            return
        self._points += 1
        points = self._batch.points.setdefault((call, outcome.participant), [])
        points.append(point(wire.window(outcome)))

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Tracks are not kept."""

    def preview(self, call: str, preview: Preview) -> None:
        """Previews are never kept."""

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Note where the participant stands."""
        who = (call, verdict.participant)
        self._batch.verdicts[who] = wire.verdict(verdict)
        allowed = self._allowance(*who)
        if allowed is not None:
            self._batch.allowed[who] = wire.allowance(allowed)

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Comparisons are not kept."""

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Pauses are kept as lost seconds of the windows."""

    def alert(self, alert: Alert) -> None:
        """Alerts are kept by the outbox."""

    def call_ended(self, call: str, reason: str) -> None:
        """Note the end."""
        self._batch.ended[call] = (reason, self._wall())
        self._now.set()

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            # Calls that begin and end by the dozen share a transaction.
            await asyncio.sleep(TOGETHER if await self.flush() else EVERY)

    async def flush(self) -> bool:
        """Write what has been collected; False if the database did not take it."""
        # Who flushes last waits for what is being written, and so may end the service after it.
        async with self._writing:
            return await self._flush()

    async def _flush(self) -> bool:
        parts = deque(self._batch.parts())
        self._batch, self._points = Batch(), 0
        try:
            # Each by itself: alerts are committed between two.
            while parts and await self._write(parts):
                pass
        finally:
            # Broken off too: nothing of the first part was committed.
            self._restore(parts)
        return not parts

    async def _write(self, parts: deque[Batch]) -> bool:
        """Write the first part and take it off; False if the database did not take it.

        One that is refused for its own sake is written call by call, and what is left of it is
        dropped.
        """
        try:
            await self._calls.write(parts[0])
        except StoreError as error:
            if error.reason != ROW:
                return False
            why = str(error)
        except Exception as error:  # noqa: BLE001
            # What cannot be put into a row at all.
            why = type(error).__name__
        else:
            parts.popleft()
            return True
        calls = parts.popleft().by_call()
        if len(calls) > 1:
            parts.extendleft(reversed(calls))
        else:
            _log.error("call not kept", detail=why)
            self._metrics.store_dropped.labels("call").inc()
        return True

    def _restore(self, parts: deque[Batch]) -> None:
        """Put parts back in front of what was collected meanwhile."""
        batch = Batch()
        for part in parts:
            self._points += part.windows
            batch.join(part)
        batch.join(self._batch)
        self._batch = batch
