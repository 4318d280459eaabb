"""What is deleted when its time has come, and what a legal hold keeps."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Table, delete, exists, select
from typing_extensions import TypedDict

from monitor.runtime import log
from monitor.schema.messages import DeliveryState, StoreError
from monitor.schema.records import described
from monitor.store import tables
from monitor.store.alerts import plain
from monitor.store.audit import written
from monitor.store.calls import moment
from monitor.store.database import Database

_log = log.get(__name__)
CALLS = 50
"""Calls deleted in one transaction: alerts wait for its end."""
ROWS = 1000
"""And rows."""
_SERVICE = "service"
"""Who deletes, in the audit log."""
_OF_CALLS = (
    tables.timelines, tables.participants, tables.reviews, tables.deliveries, tables.messages,
    tables.alerts,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds for which things are kept; 0 keeps them for ever."""

    timelines: float
    calls: float
    deliveries: float
    audit: float


@described
class HoldRecord(TypedDict):
    """What is not deleted, and why."""

    kind: Literal["call", "alert"]
    subject: str
    """Its id."""
    call: str
    reason: str
    by: str
    """Name of the token."""
    at: str


class Holds:
    """Legal holds on calls; one on an alert holds the alert's call."""

    def __init__(self, database: Database, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    async def put(self, kind: str, subject: str, call: str, reason: str, by: str) -> None:
        """Hold, or give another reason for a hold that is there."""
        now = self._wall()
        changed = {"reason": plain(reason), "by": by, "at": now}
        insert = self._database.insert(tables.holds).values(
            kind=kind, subject=subject, call=call, **changed
        )
        insert = insert.on_conflict_do_update(index_elements=["kind", "subject"], set_=changed)
        async with self._database.write() as connection:
            await connection.execute(insert)
            detail = {"kind": kind, "reason": plain(reason)}
            await written(connection, now, by, "hold.put", subject, detail)

    async def remove(self, kind: str, subject: str, by: str) -> bool:
        """Let go; False if nothing was held."""
        column = tables.holds.c
        statement = delete(tables.holds).where(column.kind == kind, column.subject == subject)
        async with self._database.write() as connection:
            found = bool((await connection.execute(statement)).rowcount)
            if found:
                now = self._wall()
                await written(connection, now, by, "hold.remove", subject, {"kind": kind})
        return found

    async def all(self) -> list[HoldRecord]:
        """Every hold, newest first."""
        query = select(tables.holds).order_by(tables.holds.c.at.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            {
                "kind": row["kind"],
                "subject": row["subject"],
                "call": row["call"],
                "reason": row["reason"],
                "by": row["by"],
                "at": moment(row["at"]),
            }
            for row in rows
        ]

    async def held(self, call: str) -> bool:
        """Whether nothing of a call may be deleted."""
        query = select(exists().where(tables.holds.c.call == call))
        async with self._database.read() as connection:
            return bool((await connection.execute(query)).scalar())


class Retention:
    """Deletes in the background; every deletion leaves a row in the audit log."""

    def __init__(
        self, database: Database, terms: Terms, every: float, wall: Callable[[], float] = time.time
    ) -> None:
        """`every` is in seconds."""
        self._database = database
        self._terms = terms
        self._every = every
        self._wall = wall

    async def run(self) -> None:
        """Delete now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreError as error:
                _log.warning("retention postponed", detail=str(error))
            await asyncio.sleep(self._every)

    async def sweep(self) -> None:
        """Delete what is due."""
        while await self._calls():
            pass
        ended = exists().where(
            tables.calls.c.id == tables.timelines.c.call, tables.calls.c.ended.is_not(None)
        )
        await self._old(
            tables.timelines, tables.timelines.c.written_at, self._terms.timelines,
            ended, _not_held(tables.timelines),
        )  # fmt: skip
        await self._old(
            tables.deliveries, tables.deliveries.c.changed_at, self._terms.deliveries,
            tables.deliveries.c.state != DeliveryState.PENDING, _not_held(tables.deliveries),
        )  # fmt: skip
        await self._old(tables.audit, tables.audit.c.at, self._terms.audit)

    async def _calls(self) -> int:
        """Delete a batch of calls with everything about them; return how many."""
        if not self._terms.calls:
            return 0
        now = self._wall()
        before = now - self._terms.calls
        held = exists().where(tables.holds.c.call == tables.calls.c.id)
        waiting = exists().where(
            tables.deliveries.c.call == tables.calls.c.id,
            tables.deliveries.c.state == DeliveryState.PENDING,
        )
        query = (
            select(tables.calls.c.id)
            .where(tables.calls.c.ended_at < before, ~held, ~waiting)
            .limit(CALLS)
        )
        async with self._database.read() as connection:
            found = list((await connection.execute(query)).scalars())
        if not found:
            return 0
        # A call of an hour has more of these than of all else.
        lines = tables.timelines
        await self._rows(lines, before, lines.c.call.in_(found), _not_held(lines))
        async with self._database.write() as connection:
            # One may be held by now.
            still = query.where(tables.calls.c.id.in_(found))
            ids = list((await connection.execute(still)).scalars())
            if not ids:
                return 0
            for table in _OF_CALLS:
                await connection.execute(delete(table).where(table.c.call.in_(ids)))
            await connection.execute(delete(tables.calls).where(tables.calls.c.id.in_(ids)))
            detail = {"before": moment(before), "calls": ids}
            await written(connection, now, _SERVICE, "retention.delete", "calls", detail)
        _log.info("calls deleted", count=len(ids), before=moment(before))
        return len(ids)

    async def _old(
        self, table: Table, column: Any, keep: float, *also: ColumnElement[bool]
    ) -> None:
        if keep:
            before = self._wall() - keep
            await self._rows(table, before, column < before, *also)

    async def _rows(self, table: Table, before: float, *which: ColumnElement[bool]) -> None:
        """Delete rows, some at a time; `before` is for the audit log."""
        some = select(table.c.number).where(*which).limit(ROWS)
        count = ROWS
        while count == ROWS:
            async with self._database.write() as connection:
                done = await connection.execute(delete(table).where(table.c.number.in_(some)))
                count = done.rowcount
                if count:
                    now, detail = self._wall(), {"before": moment(before), "rows": count}
                    await written(connection, now, _SERVICE, "retention.delete", table.name, detail)


def _not_held(table: Table) -> ColumnElement[bool]:
    return ~exists().where(tables.holds.c.call == table.c.call)
