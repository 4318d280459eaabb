"""One database with everything in it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from monitor.metrics.sink import Metrics
from monitor.schema.messages import StoreError
from monitor.store.alerts import Alerts
from monitor.store.audit import Audit
from monitor.store.calls import Calls
from monitor.store.database import Database
from monitor.store.deliveries import Deliveries
from monitor.store.nodes import Nodes
from monitor.store.retention import Holds, Retention, Terms
from monitor.store.reviews import Reviews
from monitor.store.sources import Sources
from monitor.store.totals import Totals
from monitor.store.uptime import Uptime

_WATCH = 5.0


class Store:
    """Opens it and gives each noun its queries."""

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        *,
        instance: str = "main",
        busy_timeout: float = 5.0,
        terms: Terms | None = None,
        every: float = 3600.0,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every` is the seconds between two deletions. Raises StoreError for a wrong URL."""
        self.database = Database(url, metrics, busy_timeout)
        self.uptime = Uptime(self.database, instance, clock)
        self.calls = Calls(self.database, instance, wall)
        self.alerts = Alerts(self.database, self.uptime, wall)
        self.deliveries = Deliveries(self.database, self.uptime, wall)
        self.reviews = Reviews(self.database, wall)
        self.holds = Holds(self.database, wall)
        self.audit = Audit(self.database)
        self.totals = Totals(self.database)
        self.nodes = Nodes(self.database, self.totals, wall)
        self.sources = Sources(self.database, self.totals, wall)
        kept = terms or Terms(0, 0, 0, 0)
        self.retention = Retention(self.database, kept, every, wall)

    @property
    def degraded(self) -> str | None:
        """Why the last write failed, in one word; None when it did not."""
        return self.database.degraded

    async def open(self) -> None:
        """Bring tables up to date and go on; raises StoreError."""
        await self.database.open()
        await self.uptime.load()

    async def watch(self) -> None:
        """Try a write now and then while the store is degraded, until cancelled.

        Calls that are over write nothing: without this it would stay degraded after them.
        """
        while True:
            await asyncio.sleep(_WATCH)
            if self.degraded is None:
                continue
            with suppress(StoreError):
                async with self.database.write() as connection:
                    await self.uptime.save(connection)

    async def close(self) -> None:
        """Let the connections go."""
        await self.database.close()
