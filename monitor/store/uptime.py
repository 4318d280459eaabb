"""How long the service has run, over restarts: the clock by which deliveries wait and age.

The wall clock jumps and the monotonic one forgets at a restart. This one goes on where it was
last saved, which is in the same transaction as whatever it stamps; time in which the service
does not run does not count.
"""

import time
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store import tables
from monitor.store.database import Database


class Uptime:
    """The running time of one instance, in seconds."""

    def __init__(
        self, database: Database, instance: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives monotonic seconds."""
        self.instance = instance
        self._database = database
        self._clock = clock
        self._base = -clock()

    async def load(self) -> None:
        """Go on where the last run was saved."""
        query = select(tables.uptime.c.seconds).where(tables.uptime.c.instance == self.instance)
        async with self._database.read() as connection:
            saved = (await connection.execute(query)).scalar()
        self._base = (saved or 0.0) - self._clock()

    def now(self) -> float:
        """Seconds."""
        return self._base + self._clock()

    async def save(self, connection: AsyncConnection) -> float:
        """Write it as part of a transaction; return it."""
        now = self.now()
        insert = self._database.insert(tables.uptime).values(instance=self.instance, seconds=now)
        await connection.execute(
            insert.on_conflict_do_update(index_elements=["instance"], set_={"seconds": now})
        )
        return now
