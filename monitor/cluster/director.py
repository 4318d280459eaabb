"""Decides which node takes a call, and which one pulls a source.

Who is alive is not decided here: Ray says so. State that must outlive a restart is written to the
database before anybody hears of it; the rest is learnt anew from the nodes' next reports.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from monitor.cluster.lease import Ended, Lease, Orders, Report, Standing
from monitor.cluster.ledger import NodeLedger, SourceLedger, TotalLedger
from monitor.cluster.pull import RETRIED, Pull
from monitor.cluster.roster import Node, Roster
from monitor.cluster.seal import CONFIGURED
from monitor.runtime import log
from monitor.store.nodes import NodeRow
from monitor.store.sources import Account, SourceRow

_log = log.get(__name__)

_TOGETHER = 10_000
"""Named calls whose node is remembered."""


class SupersededError(Exception):
    """Another director has changed a lease: this one must not go on."""


@dataclass(slots=True)
class Tally:
    """What went wrong since the cluster's database was made; named as the totals are there."""

    nodes_lost: int = 0
    calls_interrupted: int = 0
    seconds_lost: float = 0.0
    """Between a call's last sign of life and the news that its node was lost."""
    leases_moved: int = 0


class Director:
    """One for a cluster; every method may be called at any time, in any order."""

    def __init__(
        self,
        nodes: NodeLedger,
        sources: SourceLedger,
        totals: TotalLedger,
        lease_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives monotonic seconds."""
        self._nodes = nodes
        self._sources = sources
        self._totals = totals
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._began = clock()
        self._busy = asyncio.Lock()
        self._orphans: list[str] = []
        self._together: dict[str, str] = {}
        """By the name of a call: where it went."""
        self.roster = Roster()
        self.pulls: dict[str, Pull] = {}
        self.tally = Tally()

    async def load(self) -> None:
        """Go on where another left off; raises StoreError."""
        async with self._busy:
            for row in await self._nodes.all():
                standing = Standing(row.instance, row.url, row.inner_url)
                if not row.lost:
                    self.roster.add(Node(standing, self._clock(), draining=row.draining))
            rows, accounts = await self._sources.all(), await self._sources.accounts()
            now = self._clock()
            self.pulls = {
                row.id: Pull.resumed(
                    row, accounts.get(row.id, Account()), now, now + self._lease_seconds
                )
                for row in rows
            }
            counted = await self._totals.all()
            for total in fields(Tally):
                before = getattr(self.tally, total.name)
                setattr(self.tally, total.name, before + type(before)(counted.get(total.name, 0)))

    async def join(self, standing: Standing) -> None:
        """Know a node that has started; raises StoreError."""
        async with self._busy:
            if self.roster.get(standing.instance) is None:
                row = NodeRow(standing.instance, standing.url, standing.inner_url)
                await self._nodes.join(row)
                self.roster.add(Node(standing, self._clock()))
                _log.info("node joined", node=standing.instance)

    def lose(self, instance: str) -> None:
        """Hear from Ray that a node is no more; `settle` does the rest."""
        node = self.roster.get(instance)
        if node is not None and not node.lost:
            node.lost = True
            self.tally.nodes_lost += 1
            _log.error("node lost", node=instance, calls=node.calls)

    def place(self, call: str = "") -> Standing | None:
        """Give away a slot; None when there is none.

        Who names the same `call` is sent to the same node, as long as that has room: one call's
        participants are monitored together.
        """
        node = self.roster.take(self._clock(), self._together.get(call))
        if node is None:
            return None
        if call:
            # At the end, as the latest.
            self._together.pop(call, None)
            self._together[call] = node.standing.instance
            if len(self._together) > _TOGETHER:
                del self._together[next(iter(self._together))]
        return node.standing

    async def renew(self, report: Report) -> Orders | None:
        """Answer a node's report; None if it has been given up and must stop.

        Raises StoreError if what it reports could not be kept: it is to report it again.
        """
        async with self._busy:
            now, node = self._clock(), self.roster.get(report.instance)
            if node is None or node.lost:
                return None
            node.reported(report, now)
            for ended in report.ended:
                await self._ended(ended, report.instance)
            for pull in self.pulls.values():
                pull.reported(report, now)
            mine = [p.row for p in self.pulls.values() if p.row.holder == report.instance]
            leases = tuple(Lease(row.id, row.epoch, row.sealed) for row in mine)
            return Orders(leases, node.draining, self._bequeathed(node))

    async def want(self, row: SourceRow) -> None:
        """Have a source pulled; raises StoreError."""
        async with self._busy:
            if row.id not in self.pulls:
                await self._sources.want(row)
                self.pulls[row.id] = Pull(row)

    async def configure(self, rows: Sequence[SourceRow]) -> None:
        """Have the sources of the settings pulled, ended ones again, and no earlier ones."""
        wanted = {row.id for row in rows}
        for source, pull in list(self.pulls.items()):
            if source.startswith(CONFIGURED) and (source not in wanted or pull.row.ended):
                await self.forget(source)
        for row in rows:
            await self.want(row)

    async def forget(self, source: str) -> bool:
        """Have it pulled no more; False if it was not wanted."""
        async with self._busy:
            if source not in self.pulls:
                return False
            await self._sources.forget(source)
            del self.pulls[source]
            return True

    async def drain(self, instance: str, draining: bool) -> bool:
        """Give a node nothing new, or again; False if there is no such node."""
        async with self._busy:
            node = self.roster.get(instance)
            if node is None or node.lost:
                return False
            await self._nodes.drain(instance, draining)
            node.draining = draining
            return True

    async def settle(self) -> None:
        """Bury lost nodes and give every source a holder; to be called now and then.

        Raises StoreError, after which it is to be called again, and SupersededError.
        """
        async with self._busy:
            for node in self.roster:
                if node.lost and not node.buried:
                    loss = await self._nodes.lose(node.standing.instance)
                    self.tally.calls_interrupted += loss.calls
                    self.tally.seconds_lost += loss.seconds
                    node.buried = True
            for pull in self.pulls.values():
                if pull.row.ended is None:
                    await self._settle(pull)
                if not pull.kept:
                    await self._sources.account(pull.row.id, pull.account(self._clock()))
                    pull.kept = True
            self.roster.forget_buried()
            self._orphans = await self._nodes.orphans()

    async def _settle(self, pull: Pull) -> None:
        now, row = self._clock(), pull.row
        if row.holder is not None:
            node = self.roster.get(row.holder)
            if node is None or node.lost:
                pull.leave(await self._last_pulled(pull, node))
                last = node.renewed if node is not None else self._began
                await self._move(pull, None)
                # It may have renewed in the database while it could not reach this director.
                last = max(last, now - await self._sources.idle(row.id))
                pull.until = last + self._lease_seconds
            elif node.draining and any(n.room(now) for n in self.roster):
                pull.leave(now)
                await self._move(pull, None)
                pull.until, pull.released_by = now + self._lease_seconds, row.holder
        if pull.row.holder is None and self._clock() >= pull.until:
            taker = self.roster.take(self._clock())
            if taker is not None:
                await self._move(pull, taker.standing.instance)
                pull.released_by = None
                self.tally.leases_moved += pull.flowed
                _log.info("source leased", source=row.id, node=pull.row.holder)

    async def _last_pulled(self, pull: Pull, node: Node | None) -> float:
        """When a lost holder is last known to have pulled."""
        row, now = pull.row, self._clock()
        if node is not None and node.heard:
            last = node.renewed
        else:
            # A director before this one heard it: what was kept of the call tells how long ago.
            lease = Lease(row.id, row.epoch, row.sealed)
            last = now - await self._sources.unseen(lease.call)
        return max(last, now - await self._sources.idle(row.id))

    async def _move(self, pull: Pull, holder: str | None) -> None:
        row, account = pull.row, pull.account(self._clock())
        if not await self._sources.move(row.id, row.epoch, holder, account):
            raise SupersededError(f"source {row.id} is no longer at epoch {row.epoch}")
        pull.row = replace(row, holder=holder, epoch=row.epoch + 1)
        pull.kept = True

    async def _ended(self, ended: Ended, instance: str) -> None:
        pull = self.pulls.get(ended.source)
        if pull is None or (pull.row.holder, pull.row.epoch) != (instance, ended.epoch):
            return
        if ended.reason in RETRIED:
            pull.leave(self._clock() - ended.ago)
            await self._move(pull, None)
            pull.until = self._clock()
        else:
            pull.over(self._clock() - ended.ago)
            await self._sources.end(ended.source, ended.reason, pull.account(self._clock()))
            pull.row, pull.flowing = replace(pull.row, holder=None, ended=ended.reason), False

    def _bequeathed(self, node: Node) -> tuple[str, ...]:
        """What the first node that works sends in the name of lost ones."""
        first = next((n for n in self.roster if not n.lost and n.heard), None)
        return tuple(self._orphans) if node is first else ()

    def overview(self) -> dict[str, Any]:
        """Nodes, sources and the tally, JSON-ready."""
        now = self._clock()
        return {
            "nodes": [node.record(now) for node in self.roster],
            "sources": [pull.record(now) for pull in self.pulls.values()],
            "tally": asdict(self.tally),
        }
