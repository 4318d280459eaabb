"""The outbox's rows: what is to be sent where, and how that went."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from typing_extensions import TypedDict

from monitor.schema.messages import DeliveryState, Due, Message, StoreError
from monitor.schema.records import described
from monitor.store import tables
from monitor.store.audit import written
from monitor.store.calls import moment
from monitor.store.database import Database
from monitor.store.uptime import Uptime

_d = tables.deliveries.c
_PENDING = DeliveryState.PENDING


@described
class DeliveryRecord(TypedDict):
    """One alert message on its way to one destination."""

    number: int
    destination: str
    key: str | None
    """The message's `idempotency_key`; null once the message is deleted."""
    call: str
    state: DeliveryState
    attempts: int
    error: str | None
    """Why the last attempt failed."""
    changed_at: str


class Deliveries:
    """The deliveries that this instance owes."""

    def __init__(
        self, database: Database, uptime: Uptime, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._uptime = uptime
        self._wall = wall
        self._turn = asyncio.Lock()
        self._changes: list[_Change] = []
        """What waits to be written."""

    async def due(self, destination: str, busy: Collection[str], limit: int) -> Due:
        """What is to be sent now, for calls that are not `busy` with an earlier message."""
        now = self._uptime.now()
        mine = (_d.instance == self._uptime.instance) & (_d.destination == destination)
        waiting = mine & (_d.state == _PENDING)
        earlier = tables.deliveries.alias().c
        # Only a call's oldest message may go: order is kept by call.
        blocked = exists().where(
            earlier.call == _d.call,
            earlier.destination == destination,
            earlier.state == _PENDING,
            earlier.number < _d.number,
            # Not a plain comparison: SQLite would take the index that begins with the instance,
            # and look through everything that waits instead of one call.
            func.coalesce(earlier.instance, "") == self._uptime.instance,
        )
        query = (
            select(
                _d.number, _d.call, _d.attempts, _d.accepted_tick, _d.error,
                tables.messages.c.key, tables.messages.c.record,
            )
            .join_from(tables.deliveries, tables.messages, tables.messages.c.number == _d.message)
            .where(waiting, _d.due_tick <= now, ~blocked)
            .order_by(_d.number)
            .limit(limit)
        )  # fmt: skip
        if busy:
            query = query.where(_d.call.not_in(busy))
        # What never failed was due when it was accepted, so only heads lie in the future.
        later = select(func.min(_d.due_tick)).where(waiting, _d.due_tick > now)
        oldest = select(func.min(_d.accepted_tick)).where(waiting)
        dead = select(func.count()).where(mine, _d.state == DeliveryState.DEAD)
        standing = select(later.scalar_subquery(), oldest.scalar_subquery(), dead.scalar_subquery())
        async with self._database.read(first=True) as connection:
            rows = (await connection.execute(query)).all()
            due_tick, accepted, given_up = (await connection.execute(standing)).one()
        return Due(
            messages=tuple(
                Message(
                    number=row.number,
                    destination=destination,
                    key=row.key,
                    call=row.call,
                    attempts=row.attempts,
                    age=now - row.accepted_tick,
                    record=row.record,
                    asked=row.attempts == 0 and row.error is not None,
                )
                for row in rows
            ),
            wait=max(0.0, due_tick - now) if due_tick is not None else None,
            oldest=max(0.0, now - accepted) if accepted is not None else 0.0,
            dead=given_up or 0,
        )

    async def delivered(self, number: int) -> None:
        """The destination took it."""
        await self._change(number, state=DeliveryState.DELIVERED, error=None)

    async def failed(self, number: int, error: str, delay: float) -> None:
        """It is to be tried again in `delay` seconds of running time."""
        await self._change(number, error=error[:200], due_tick=self._uptime.now() + delay)

    async def dead(self, number: int, error: str) -> None:
        """It was given up."""
        await self._change(number, state=DeliveryState.DEAD, error=error[:200])

    async def abandon(self, known: Collection[str]) -> int:
        """Give up what waits for destinations that are no longer configured; return how much."""
        values = {
            "state": DeliveryState.DEAD,
            "error": "the destination is not configured",
            "changed_at": self._wall(),
        }
        statement = update(tables.deliveries).where(
            _d.instance == self._uptime.instance,
            _d.state == _PENDING,
            _d.destination.not_in(known),
        )
        async with self._database.write() as connection:
            return (await connection.execute(statement.values(values))).rowcount

    async def inherit(self, instance: str) -> int:
        """Take over what a lost instance still owed; return how much.

        Ages and waits go on where that instance was last saved.
        """
        theirs = select(tables.uptime.c.seconds).where(tables.uptime.c.instance == instance)
        async with self._database.write() as connection:
            tick = await self._uptime.save(connection)
            shift = tick - ((await connection.execute(theirs)).scalar() or 0.0)
            statement = update(tables.deliveries).where(
                _d.instance == instance, _d.state == _PENDING
            )
            values = {
                "instance": self._uptime.instance,
                "accepted_tick": _d.accepted_tick + shift,
                "due_tick": _d.due_tick + shift,
            }
            return (await connection.execute(statement.values(values))).rowcount

    async def latest(
        self, limit: int, state: str | None = None, destination: str | None = None
    ) -> list[DeliveryRecord]:
        """Deliveries of all instances, newest first."""
        wanted: list[ColumnElement[bool]] = []
        if state is not None:
            wanted.append(_d.state == state)
        if destination is not None:
            wanted.append(_d.destination == destination)
        query = (
            select(tables.deliveries, tables.messages.c.key)
            .outerjoin(tables.messages, tables.messages.c.number == _d.message)
            .where(*wanted)
            .order_by(_d.number.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            {
                "number": row["number"],
                "destination": row["destination"],
                "key": row["key"],
                "call": row["call"],
                "state": row["state"],
                "attempts": row["attempts"],
                "error": row["error"],
                "changed_at": moment(row["changed_at"]),
            }
            for row in rows
        ]

    async def retry(self, number: int, by: str) -> bool:
        """Send a dead letter again, as if it were new; False if there is none."""
        async with self._database.write() as connection:
            tick = await self._uptime.save(connection)
            done = await connection.execute(
                update(tables.deliveries)
                .where(_d.number == number, _d.state == DeliveryState.DEAD)
                .values(
                    state=_PENDING,
                    attempts=0,
                    accepted_tick=tick,
                    due_tick=tick,
                    changed_at=self._wall(),
                    # Whoever asks for it sends it: a dead machine's letters too.
                    instance=self._uptime.instance,
                )
            )
            if done.rowcount:
                await written(connection, self._wall(), by, "delivery.retry", str(number), {})
        return bool(done.rowcount)

    async def _change(self, number: int, **values: Any) -> None:
        """Write what became of a message, together with all others that wait for their turn."""
        change = _Change(number, values)
        self._changes.append(change)
        async with self._turn:
            if not change.tried:
                await self._write()
        if change.error is not None:
            raise change.error

    async def _write(self) -> None:
        changes: list[_Change] = []
        error: StoreError | None = None
        try:
            # A call's next alert waits for what became of the one before it.
            async with self._database.write(first=True) as connection:
                # Only now: what came while it waited goes with it.
                changes = self._taken()
                await self._uptime.save(connection)
                for change in changes:
                    await connection.execute(
                        update(tables.deliveries)
                        .where(_d.number == change.number)
                        .values(attempts=_d.attempts + 1, changed_at=self._wall(), **change.values)
                    )
        except StoreError as found:
            error = found
            changes += self._taken()
        except BaseException:
            # Broken off with the one that writes: the next of them does it.
            self._changes = changes + self._changes
            raise
        for change in changes:
            change.tried, change.error = True, error

    def _taken(self) -> "list[_Change]":
        changes, self._changes = self._changes, []
        return changes


@dataclass(slots=True)
class _Change:
    """What became of one message."""

    number: int
    values: dict[str, Any]
    tried: bool = False
    error: StoreError | None = None
