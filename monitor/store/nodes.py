"""The nodes of a cluster: those that work, and what those that were lost have left behind."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.schema.messages import DeliveryState
from monitor.store import tables
from monitor.store.calls import INTERRUPTED
from monitor.store.database import Database
from monitor.store.totals import Totals
from monitor.types import LostReason

_KEPT = 86_400.0
"""Seconds for which a lost node is remembered: what it still writes must find an heir."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as it is kept."""

    instance: str
    """Names one start of one node; the instance of its calls and deliveries."""
    url: str
    """Where clients reach it."""
    inner_url: str
    """Where the gateway reaches it."""
    draining: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Calls that ended with their node."""

    calls: int
    seconds: float
    """From when each was last heard of until now: nobody monitored them."""


class Nodes:
    """The rows of all nodes; only the director writes them."""

    def __init__(
        self, database: Database, totals: Totals, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._totals = totals
        self._wall = wall

    async def join(self, node: NodeRow) -> None:
        """Keep a new node."""
        row = tables.nodes.insert().values(
            instance=node.instance,
            url=node.url,
            inner_url=node.inner_url,
            joined_at=self._wall(),
            draining=node.draining,
        )
        async with self._database.write() as connection:
            await connection.execute(row)

    async def all(self) -> list[NodeRow]:
        """Nodes in the order in which they joined, and those lost within a day."""
        async with self._database.write() as connection:
            old = tables.nodes.c.lost_at < self._wall() - _KEPT
            await connection.execute(delete(tables.nodes).where(old))
            query = select(tables.nodes).order_by(tables.nodes.c.joined_at)
            rows = (await connection.execute(query)).all()
        return [
            NodeRow(row.instance, row.url, row.inner_url, row.draining, row.lost_at is not None)
            for row in rows
        ]

    async def drain(self, instance: str, draining: bool) -> None:
        """Note whether a node takes nothing new."""
        row = update(tables.nodes).where(tables.nodes.c.instance == instance)
        async with self._database.write() as connection:
            await connection.execute(row.values(draining=draining))

    async def lose(self, instance: str) -> Interrupted:
        """Close the calls of a node that is gone, account for the seconds since, and count them.

        A second time it closes what the node has opened meanwhile, if anything.
        """
        now = self._wall()
        async with self._database.write() as connection:
            gone = tables.nodes.c.lost_at.is_(None) & (tables.nodes.c.instance == instance)
            marked = await connection.execute(update(tables.nodes).where(gone).values(lost_at=now))
            open_ = (tables.calls.c.instance == instance) & tables.calls.c.ended.is_(None)
            closed = (
                update(tables.calls)
                .where(open_)
                .values(ended=INTERRUPTED, ended_at=now)
                .returning(tables.calls.c.id, tables.calls.c.seen_at)
            )
            rows = (await connection.execute(closed)).all()
            lost = 0.0
            for row in rows:
                gap = max(0.0, now - row.seen_at)
                lost += gap
                await _account(connection, row.id, gap)
            counted = {
                "nodes_lost": marked.rowcount,
                "calls_interrupted": len(rows),
                "seconds_lost": lost,
            }
            await self._totals.add(connection, counted)
        return Interrupted(len(rows), lost)

    async def orphans(self) -> list[str]:
        """Lost nodes that still owe deliveries."""
        d, n = tables.deliveries.c, tables.nodes.c
        lost = select(n.instance).where(n.lost_at.is_not(None))
        owed = (d.state == DeliveryState.PENDING) & d.instance.in_(lost)
        query = select(d.instance).where(owed).distinct()
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())


async def _account(connection: AsyncConnection, call: str, gap: float) -> None:
    """Add seconds that nobody monitored to what is kept of each participant."""
    p = tables.participants
    members = await connection.execute(select(p.c.name, p.c.verdict).where(p.c.call == call))
    for name, verdict in members.all():
        if verdict is None:
            continue
        mine = (p.c.call == call) & (p.c.name == name)
        changed = {"verdict": {**verdict, "seconds": _longer(verdict["seconds"], gap)}}
        await connection.execute(update(p).where(mine).values(changed))


def _longer(seconds: dict[str, Any], gap: float) -> dict[str, Any]:
    """A verdict's seconds with `gap` more that were lost."""
    reason = LostReason.INTERRUPTED.value
    before = seconds["lost_by_reason"]
    by_reason = {**before, reason: round(before.get(reason, 0.0) + gap, 3)}
    return {**seconds, "lost": round(seconds["lost"] + gap, 3), "lost_by_reason": by_reason}
