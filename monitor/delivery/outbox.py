"""Alerts are committed first, and only then told to anybody.

`alert` only queues. `run` commits what is queued in batches, each alert with one row for every
destination that wants it; then the other sinks hear it and the couriers are woken. While the
database takes nothing, alerts are told from memory, marked as not committed, and wait there for
their commit; the calls go on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from monitor.delivery.courier import Courier
from monitor.delivery.logged import NullSink
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.schema import wire
from monitor.schema.messages import ROW, StoreError
from monitor.schema.records import AlertRecord
from monitor.types import Alert, Guidance

_log = log.get(__name__)

CAPACITY = 10_000
"""Alert messages that wait for the database; beyond it the oldest is dropped, counted."""
_BATCH = 100
_RETRY_FIRST = 0.1
_RETRY_LIMIT = 5.0
_REFUSED = 3
"""Times that the database may refuse an alert for the alert's own sake."""


class Ledger(Protocol):
    """Where alerts are committed."""

    async def accept(self, batch: Sequence[tuple[AlertRecord, Sequence[str]]]) -> None:
        """Keep messages with the names of their destinations; raises StoreError."""


class Outbox(NullSink):
    """Accepts alerts from calls."""

    def __init__(
        self,
        ledger: Ledger,
        couriers: Iterable[Courier],
        advise: Callable[[Alert], Guidance],
        raised: Callable[[Alert], None],
        metrics: Metrics,
    ) -> None:
        """`raised` hears every alert once: when it is committed, or told without."""
        self._ledger = ledger
        self._couriers = tuple(couriers)
        self._advise = advise
        self._raised = raised
        self._metrics = metrics
        self._queue: deque[Alert] = deque()
        self._failing = False
        """Whether the database took nothing when it was last tried."""
        self._told: set[str] = set()
        """Keys of what waits and was told."""
        self._ready = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        metrics.alerts_waiting.set_function(lambda: len(self._queue))

    def alert(self, alert: Alert) -> None:
        """Queue an alert for its commit."""
        if len(self._queue) >= CAPACITY:
            self._drop(self._queue.popleft(), "too many alerts wait for the store")
        alert = replace(alert, guidance=self._advise(alert))
        self._queue.append(alert)
        if self._failing:
            self._tell(alert)
        self._empty.clear()
        self._ready.set()

    async def run(self) -> None:
        """Commit until cancelled."""
        delay, refused = _RETRY_FIRST, 0
        while True:
            await self._ready.wait()
            # After a refusal one by one, so that only the one at fault is left out.
            batch = [alert for alert, _ in zip(self._queue, range(_BATCH), strict=False)]
            batch = batch[:1] if refused else batch
            if not batch:
                self._ready.clear()
                self._empty.set()
                continue
            try:
                await self._commit(batch)
            except StoreError as error:
                if error.reason == ROW:
                    refused += 1
                    if len(batch) > 1 or refused <= _REFUSED:
                        continue
                    self._tell(batch[0])
                    self._drop(batch[0], str(error))
                    self._forget(batch)
                    delay, refused = _RETRY_FIRST, 0
                    continue
                if not self._failing:
                    keys = [alert.idempotency_key for alert in batch]
                    _log.error("alerts not committed yet", keys=keys, cause=error.reason)
                self._failing = True
                for alert in list(self._queue):
                    self._tell(alert)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_LIMIT)
                continue
            delay, refused, self._failing = _RETRY_FIRST, 0, False
            self._forget(batch)
            for alert in batch:
                key = alert.idempotency_key
                if key in self._told:
                    self._told.discard(key)
                    for courier in self._couriers:
                        courier.committed(key)
                else:
                    self._raised(alert)
            for courier in self._couriers:
                courier.wake()

    def _tell(self, alert: Alert) -> None:
        """Have everybody hear of an alert that is not committed, once."""
        key = alert.idempotency_key
        if key in self._told:
            return
        self._told.add(key)
        record = wire.alert(alert, committed=False)
        for courier in self._couriers:
            if courier.wants(alert):
                courier.tell(record)
        self._raised(alert)

    async def _commit(self, batch: Sequence[Alert]) -> None:
        try:
            await self._ledger.accept([self._entry(alert) for alert in batch])
        except StoreError:
            raise
        except Exception as error:
            # One alert that cannot be written must not end the commits of all others.
            _log.exception("alerts not writable")
            raise StoreError(ROW, type(error).__name__) from error

    async def drain(self, timeout: float) -> bool:
        """Wait until all that is queued is committed; False if `timeout` seconds did not do."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def _entry(self, alert: Alert) -> tuple[AlertRecord, Sequence[str]]:
        return wire.alert(alert), [c.name for c in self._couriers if c.wants(alert)]

    def _forget(self, batch: Sequence[Alert]) -> None:
        for alert in batch:
            # The oldest may have been dropped while the commit ran.
            if self._queue and self._queue[0] is alert:
                self._queue.popleft()

    def _drop(self, alert: Alert, why: str) -> None:
        self._metrics.store_dropped.labels("alert").inc()
        key = alert.idempotency_key
        event = "alert told and not kept" if key in self._told else "alert lost"
        self._told.discard(key)
        _log.error(event, key=key, cause=why)
