"""Alerts: accepted in one transaction with what must be delivered, and read back."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import select

from monitor.messages import DeliveryState
from monitor.records import AlertRecord
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.uptime import Uptime
from monitor.types import Alert


class Alerts:
    """The alerts of all calls."""

    def __init__(
        self, database: Database, uptime: Uptime, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._uptime = uptime
        self._wall = wall

    async def accept(self, batch: Sequence[tuple[Alert, AlertRecord, Sequence[str]]]) -> None:
        """Keep messages and who must get them, all or none; raises StoreError.

        A message that is there already, from a commit whose answer was lost, is left alone.
        """
        async with self._database.write() as connection:
            tick = await self._uptime.save(connection)
            for alert, record, destinations in batch:
                insert = self._database.insert(tables.messages).values(
                    key=alert.idempotency_key, alert=alert.id, call=alert.call, record=record
                )
                number = (
                    await connection.execute(
                        insert.on_conflict_do_nothing().returning(tables.messages.c.number)
                    )
                ).scalar()
                if number is None:
                    continue
                row = self._database.insert(tables.alerts).values(
                    id=alert.id,
                    call=alert.call,
                    participant=plain(alert.participant)[:400],
                    type=alert.type,
                    tier=alert.tier,
                    raised_at=datetime.fromisoformat(alert.raised_at).timestamp(),
                )
                await connection.execute(row.on_conflict_do_nothing())
                # The recorder's batch may come later, or, after a crash, never.
                call = self._database.insert(tables.calls).values(
                    id=alert.call,
                    instance=self._uptime.instance,
                    label="",
                    ingest="",
                    started_at=self._wall(),
                    seen_at=self._wall(),
                )
                await connection.execute(call.on_conflict_do_nothing())
                if destinations:
                    await connection.execute(
                        tables.deliveries.insert(),
                        [
                            {
                                "instance": self._uptime.instance,
                                "destination": destination,
                                "message": number,
                                "call": alert.call,
                                "state": DeliveryState.PENDING,
                                "attempts": 0,
                                "accepted_tick": tick,
                                "due_tick": tick,
                                "changed_at": self._wall(),
                            }
                            for destination in destinations
                        ],
                    )

    async def latest(self, limit: int, call: str | None = None) -> list[AlertRecord]:
        """Messages, newest first, of one call or of all."""
        query = select(tables.messages.c.record).order_by(tables.messages.c.number.desc())
        if call is not None:
            query = query.where(tables.messages.c.call == call)
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(limit))).scalars())

    async def call_of(self, alert: str) -> str | None:
        """The call that an alert belongs to; None if there is no such alert."""
        query = select(tables.alerts.c.call).where(tables.alerts.c.id == alert)
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
            return found


def plain(words: str) -> str:
    """Text that every database takes: PostgreSQL has no NUL."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}")
