"""Calls, their participants and timelines: written in batches, read back after they ended."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypedDict

from monitor.schema.records import (
    CallSummary,
    ParticipantRecord,
    described,
)
from monitor.store import tables
from monitor.store.alerts import plain
from monitor.store.batch import Batch
from monitor.store.database import Database
from monitor.types import AbstentionReason

INTERRUPTED = "interrupted"
"""Why a call ended that was in progress when the service died."""


@described
class PointRecord(TypedDict):
    """A window of a call as it is kept."""

    participant: str
    detector: str
    start: float | None
    end: float | None
    score: float | None
    llr: float | None
    abstained: AbstentionReason | None


class Calls:
    """The calls of all instances; writes those of its own."""

    def __init__(
        self, database: Database, instance: str, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._instance = instance
        self._wall = wall

    async def interrupt(self) -> int:
        """Close what a run that died left open; return how many calls that were."""
        open_ = (tables.calls.c.instance == self._instance) & tables.calls.c.ended.is_(None)
        values = {"ended": INTERRUPTED, "ended_at": tables.calls.c.seen_at}
        async with self._database.write() as connection:
            done = await connection.execute(update(tables.calls).where(open_).values(values))
            return done.rowcount

    async def write(self, batch: Batch) -> None:
        """Keep a batch, all or none; raises StoreError."""
        now = self._wall()
        async with self._database.write() as connection:
            if batch.begun:
                insert = self._database.insert(tables.calls)
                # An alert may have been committed first and have made the row.
                known = {"label": insert.excluded.label, "ingest": insert.excluded.ingest}
                await connection.execute(
                    insert.on_conflict_do_update(index_elements=["id"], set_=known),
                    [
                        {
                            "id": begun.call,
                            "instance": self._instance,
                            "label": plain(begun.label),
                            "ingest": begun.ingest,
                            "started_at": begun.at,
                            "seen_at": begun.at,
                        }
                        for begun in batch.begun
                    ],
                )
            if batch.verdicts:
                insert = self._database.insert(tables.participants)
                new = {"verdict": insert.excluded.verdict, "allowed": insert.excluded.allowed}
                await connection.execute(
                    insert.on_conflict_do_update(index_elements=["call", "name"], set_=new),
                    [
                        {
                            "call": call,
                            "name": plain(name)[:400],
                            "verdict": verdict,
                            "allowed": batch.allowed.get((call, name)),
                        }
                        for (call, name), verdict in batch.verdicts.items()
                    ],
                )
            if batch.points:
                rows = [
                    {"call": c, "participant": plain(p)[:400], "points": x, "written_at": now}
                    for (c, p), x in batch.points.items()
                ]
                await connection.execute(tables.timelines.insert(), rows)
            await self._seen(connection, {call for call, _ in batch.verdicts}, now)
            if batch.ended:
                await connection.execute(
                    # One that was closed as interrupted meanwhile stays so.
                    update(tables.calls)
                    .where(tables.calls.c.id == bindparam("of"), tables.calls.c.ended.is_(None))
                    .values(
                        ended=bindparam("why"), ended_at=bindparam("at"), seen_at=bindparam("at")
                    ),
                    [{"of": c, "why": why, "at": at} for c, (why, at) in batch.ended.items()],
                )

    async def latest(self, limit: int, without: Sequence[str] = ()) -> list[CallSummary]:
        """Calls, the latest begun first."""
        query = select(tables.calls).order_by(tables.calls.c.started_at.desc()).limit(limit)
        if without:
            query = query.where(tables.calls.c.id.not_in(without))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
            return await _records(connection, rows)

    async def find(self, call: str) -> CallSummary | None:
        """One call; None if it is not kept."""
        query = select(tables.calls).where(tables.calls.c.id == call)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
            found = await _records(connection, rows)
        return found[0] if found else None

    async def instance(self, call: str) -> str | None:
        """The process that monitored a call; None if the call is not kept."""
        query = select(tables.calls.c.instance).where(tables.calls.c.id == call)
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
            return found

    async def timeline(self, call: str, participant: str | None = None) -> list[PointRecord]:
        """Windows of a call in the order in which they were judged."""
        query = (
            select(tables.timelines.c.participant, tables.timelines.c.points)
            .where(tables.timelines.c.call == call)
            .order_by(tables.timelines.c.number)
        )
        if participant is not None:
            query = query.where(tables.timelines.c.participant == participant)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [_point(row.participant, values) for row in rows for values in row.points]

    async def count(self) -> int:
        """How many are kept."""
        query = select(func.count()).select_from(tables.calls)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar() or 0

    async def _seen(self, connection: AsyncConnection, calls: set[str], now: float) -> None:
        if calls:
            statement = update(tables.calls).where(tables.calls.c.id.in_(calls))
            await connection.execute(statement.values(seen_at=now))


def _point(participant: str, values: Sequence[Any]) -> PointRecord:
    detector, start, end, score, llr, abstained = values
    return {
        "participant": participant,
        "detector": detector,
        "start": start,
        "end": end,
        "score": score,
        "llr": llr,
        "abstained": abstained,
    }


async def _records(connection: AsyncConnection, rows: Sequence[RowMapping]) -> list[CallSummary]:
    ids = [row["id"] for row in rows]
    query = select(tables.participants).where(tables.participants.c.call.in_(ids))
    members: dict[str, list[ParticipantRecord]] = {}
    for member in (await connection.execute(query)).mappings():
        shown: ParticipantRecord = {
            "name": member["name"],
            "verdict": member["verdict"],
            "allowed": member["allowed"],
        }
        members.setdefault(member["call"], []).append(shown)
    return [
        {
            "id": row["id"],
            "label": row["label"],
            "ingest": row["ingest"],
            "started_at": moment(row["started_at"]),
            "ended": row["ended"],
            "ended_at": moment(row["ended_at"]) if row["ended_at"] is not None else None,
            "detail": "",
            "media": row["id"] in members,
            "participants": members.get(row["id"], []),
        }
        for row in rows
    ]


def moment(seconds: float) -> str:
    """A wall-clock time in RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
