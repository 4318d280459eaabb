"""The sources that a cluster pulls: wanted once, held by one node at a time.

A lease is a row's holder and epoch. Every change of holder makes the epoch grow, and every write
says which epoch it means: what comes from before a change finds no row.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Double, delete, literal_column, select, update

from monitor.store import tables
from monitor.store.database import Database
from monitor.store.totals import Totals

_s = tables.sources.c
# The database's own clock: those of two machines may differ.
_CLOCK = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as it is kept."""

    id: str
    sealed: str
    """What to pull, encrypted: it may hold credentials."""
    holder: str | None = None
    """The instance that pulls it."""
    epoch: int = 0
    ended: str | None = None
    """Why it is not pulled any more, in one word."""


@dataclass(frozen=True, slots=True)
class Account:
    """For how long nobody pulled a source after it first flowed."""

    flowed: bool = False
    """Whether its media was ever seen."""
    lost_seconds: float = 0.0
    """Of gaps that are over."""
    away: float | None = None
    """Seconds so far of the gap that goes on; None while the source is pulled."""


class Sources:
    """The rows of all sources."""

    def __init__(
        self, database: Database, totals: Totals, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._totals = totals
        self._wall = wall

    async def all(self) -> list[SourceRow]:
        """In the order in which they were wanted."""
        async with self._database.read() as connection:
            query = select(tables.sources).order_by(_s.wanted_at, _s.id)
            rows = (await connection.execute(query)).all()
        return [SourceRow(r.id, r.sealed, r.holder, r.epoch, r.ended) for r in rows]

    async def accounts(self) -> dict[str, Account]:
        """By source."""
        since = self._now - _s.away_at
        query = select(_s.id, _s.flowed, _s.lost_seconds, since.label("away"))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {
            row.id: Account(
                row.flowed, row.lost_seconds, None if row.away is None else max(0.0, row.away)
            )
            for row in rows
        }

    async def account(self, source: str, account: Account) -> None:
        """Keep what is known by now."""
        row = update(tables.sources).where(_s.id == source)
        async with self._database.write() as connection:
            await connection.execute(row.values(self._accounted(account)))

    async def want(self, source: SourceRow) -> None:
        """Keep a source; one that is kept already is left as it is."""
        row = self._database.insert(tables.sources).values(
            id=source.id,
            sealed=source.sealed,
            wanted_at=self._wall(),
            epoch=source.epoch,
            renewed_at=0.0,
        )
        async with self._database.write() as connection:
            await connection.execute(row.on_conflict_do_nothing())

    async def forget(self, source: str) -> None:
        """Keep it no longer."""
        async with self._database.write() as connection:
            await connection.execute(delete(tables.sources).where(_s.id == source))

    async def move(self, source: str, epoch: int, holder: str | None, account: Account) -> bool:
        """Give a lease of this epoch to another holder; False if somebody else did before."""
        change = {"holder": holder, "epoch": epoch + 1, **self._accounted(account)}
        if holder is not None:
            change["renewed_at"] = self._now
        row = update(tables.sources).where(_s.id == source, _s.epoch == epoch)
        async with self._database.write() as connection:
            moved = bool((await connection.execute(row.values(change))).rowcount)
            if moved and holder is not None and account.flowed:
                await self._totals.add(connection, {"leases_moved": 1})
        return moved

    async def end(self, source: str, reason: str, account: Account) -> None:
        """Note that it is pulled no more."""
        row = update(tables.sources).where(_s.id == source)
        change = {"ended": reason, "holder": None, **self._accounted(account)}
        async with self._database.write() as connection:
            await connection.execute(row.values(change))

    async def idle(self, source: str) -> float:
        """Seconds since the lease was last given or renewed here; very many for never."""
        query = select(self._now - _s.renewed_at).where(_s.id == source)
        async with self._database.read() as connection:
            return float((await connection.execute(query)).scalar() or 0.0)

    async def unseen(self, call: str) -> float:
        """Seconds since anything was kept of the call it was pulled as; infinite for nothing."""
        query = select(tables.calls.c.seen_at).where(tables.calls.c.id == call)
        async with self._database.read() as connection:
            seen = (await connection.execute(query)).scalar()
        return math.inf if seen is None else max(0.0, self._wall() - seen)

    async def renew(self, holder: str, epochs: Mapping[str, int]) -> frozenset[str]:
        """Renew leases by source and epoch; return those that still are the holder's."""
        async with self._database.write() as connection:
            kept = set()
            for source, epoch in epochs.items():
                row = update(tables.sources).where(
                    _s.id == source, _s.epoch == epoch, _s.holder == holder
                )
                done = await connection.execute(row.values(renewed_at=self._now))
                kept |= {source} if done.rowcount else set()
        return frozenset(kept)

    def _accounted(self, account: Account) -> dict[str, Any]:
        away = account.away
        return {
            "flowed": account.flowed,
            "lost_seconds": account.lost_seconds,
            "away_at": None if away is None else self._now - away,
        }

    @property
    def _now(self) -> ColumnElement[float]:
        return literal_column(_CLOCK[self._database.kind], Double)
