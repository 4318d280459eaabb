"""Who did what, and what was deleted: rows that are only ever added, until retention."""

import time
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypedDict

from monitor.schema.records import described
from monitor.store import tables
from monitor.store.calls import moment
from monitor.store.database import Database


async def written(
    connection: AsyncConnection,
    at: float,
    by: str,
    action: str,
    subject: str,
    detail: dict[str, Any],
) -> None:
    """Add a row in the transaction of what it tells about."""
    row = {"at": at, "by": by, "action": action, "subject": subject, "detail": detail}
    await connection.execute(tables.audit.insert().values(row))


@described
class AuditRecord(TypedDict):
    """Something that somebody did, or the service deleted."""

    number: int
    at: str
    by: str
    """Name of the token, or `service`."""
    action: str
    """Such as `review.add`, `hold.put`, `delivery.retry`, `evidence.download`."""
    subject: str
    """Id of what it was done to."""
    detail: dict[str, Any]


class Audit:
    """Reads the rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, by: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Add a row about what leaves no other trace in the database."""
        async with self._database.write() as connection:
            await written(connection, time.time(), by, action, subject, detail)

    async def latest(self, limit: int, subject: str | None = None) -> list[AuditRecord]:
        """Rows, newest first, about one subject or all."""
        query = select(tables.audit).order_by(tables.audit.c.number.desc()).limit(limit)
        if subject is not None:
            query = query.where(tables.audit.c.subject == subject)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            {
                "number": row["number"],
                "at": moment(row["at"]),
                "by": row["by"],
                "action": row["action"],
                "subject": row["subject"],
                "detail": row["detail"],
            }
            for row in rows
        ]
