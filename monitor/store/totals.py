"""What a cluster counts over its whole life, whichever director counted it."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store import tables
from monitor.store.database import Database


class Totals:
    """Numbers by name; they only grow."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, connection: AsyncConnection, amounts: Mapping[str, float]) -> None:
        """Count as part of the transaction that makes it true."""
        for name, amount in amounts.items():
            row = self._database.insert(tables.totals).values(name=name, total=amount)
            more = {"total": tables.totals.c.total + amount}
            await connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=more))

    async def all(self) -> dict[str, float]:
        """Those that were ever counted; raises StoreError."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tables.totals))).all()
        return {row.name: row.total for row in rows}
