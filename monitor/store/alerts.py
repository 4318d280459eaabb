"""Alerts: accepted in one transaction with what must be delivered, and read back."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from monitor.schema.messages import DeliveryState
from monitor.schema.records import AlertRecord
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.uptime import Uptime

_ASKED = 500
"""Ids in one question."""


class Alerts:
    """The alerts of all calls."""

    def __init__(
        self, database: Database, uptime: Uptime, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._uptime = uptime
        self._wall = wall

    async def accept(self, batch: Sequence[tuple[AlertRecord, Sequence[str]]]) -> None:
        """Keep messages and who must get them, all or none; raises StoreError.

        A message that is there already, from a commit whose answer was lost, is left alone.
        """
        if not batch:
            return
        now, instance = self._wall(), self._uptime.instance
        new = [_message(record) for record, _ in batch]
        moments = [datetime.fromisoformat(record["raised_at"]).timestamp() for record, _ in batch]
        alerts, calls, owed = [], [], []
        # As few statements as may be: each is handed to another thread and back.
        async with self._database.write(first=True) as connection:
            tick = await self._uptime.save(connection)
            insert = self._database.insert(tables.messages).values(new).on_conflict_do_nothing()
            kept = insert.returning(tables.messages.c.key, tables.messages.c.number)
            numbers = {key: n for key, n in (await connection.execute(kept)).all()}
            for (record, destinations), moment in zip(batch, moments, strict=True):
                number = numbers.pop(record["idempotency_key"], None)
                if number is None:
                    continue
                alerts.append(
                    {
                        "id": record["id"],
                        "call": record["call"],
                        "participant": plain(record["participant"])[:400],
                        "type": record["type"],
                        "tier": record["tier"],
                        "raised_at": moment,
                    }
                )
                # The recorder's batch may come later, or, after a crash, never.
                calls.append(
                    {
                        "id": record["call"],
                        "instance": instance,
                        "label": "",
                        "ingest": "",
                        "started_at": now,
                        "seen_at": now,
                    }
                )
                owed += [
                    {
                        "instance": instance,
                        "destination": destination,
                        "message": number,
                        "call": record["call"],
                        "state": DeliveryState.PENDING,
                        "attempts": 0,
                        "accepted_tick": tick,
                        "due_tick": tick,
                        "changed_at": now,
                    }
                    for destination in destinations
                ]
            for table, rows in ((tables.alerts, alerts), (tables.calls, calls)):
                if rows:
                    known = self._database.insert(table).on_conflict_do_nothing()
                    await connection.execute(known, rows)
            if owed:
                await connection.execute(tables.deliveries.insert(), owed)

    async def latest(self, limit: int, call: str | None = None) -> list[AlertRecord]:
        """Messages, newest first, of one call or of all."""
        query = select(tables.messages.c.record).order_by(tables.messages.c.number.desc())
        if call is not None:
            query = query.where(tables.messages.c.call == call)
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(limit))).scalars())

    async def missing(self, alerts: Sequence[str]) -> set[str]:
        """Those of these ids that no alert has; raises StoreError."""
        left = set(alerts)
        async with self._database.read() as connection:
            for start in range(0, len(alerts), _ASKED):
                query = select(tables.alerts.c.id).where(
                    tables.alerts.c.id.in_(alerts[start : start + _ASKED])
                )
                left -= set((await connection.execute(query)).scalars())
        return left

    async def call_of(self, alert: str) -> str | None:
        """The call that an alert belongs to; None if there is no such alert."""
        query = select(tables.alerts.c.call).where(tables.alerts.c.id == alert)
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
            return found


def _message(record: AlertRecord) -> dict[str, Any]:
    return {
        "key": record["idempotency_key"],
        "alert": record["id"],
        "call": record["call"],
        "record": record,
    }


def plain(words: str) -> str:
    """Text that every database takes: PostgreSQL has no NUL."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}")
