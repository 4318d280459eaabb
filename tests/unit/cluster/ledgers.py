"""The director's database, in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from monitor.cluster.director import Director
from monitor.cluster.lease import Ended, Orders, Report, Standing
from monitor.schema.messages import StoreError
from monitor.store.nodes import Interrupted, NodeRow
from monitor.store.sources import Account, SourceRow

LEASE = 5.0


@dataclass
class TotalTable:
    totals: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, amount: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + amount

    async def all(self) -> Mapping[str, float]:
        return self.totals


@dataclass
class NodeTable:
    totals: TotalTable
    rows: dict[str, NodeRow] = field(default_factory=dict)
    owing: list[str] = field(default_factory=list)
    broken: bool = False

    def _try(self) -> None:
        if self.broken:
            raise StoreError("unreachable", "away")

    async def join(self, node: NodeRow) -> None:
        self._try()
        self.rows[node.instance] = node

    async def all(self) -> list[NodeRow]:
        return list(self.rows.values())

    async def drain(self, instance: str, draining: bool) -> None:
        self._try()
        self.rows[instance] = replace(self.rows[instance], draining=draining)

    async def lose(self, instance: str) -> Interrupted:
        self._try()
        self.totals.add("nodes_lost", not self.rows[instance].lost)
        self.totals.add("calls_interrupted", 2)
        self.totals.add("seconds_lost", 7.0)
        self.rows[instance] = replace(self.rows[instance], lost=True)
        return Interrupted(2, 7.0)

    async def orphans(self) -> list[str]:
        return [i for i in self.owing if self.rows[i].lost]


@dataclass
class SourceTable:
    now: Callable[[], float]
    totals: TotalTable
    rows: dict[str, SourceRow] = field(default_factory=dict)
    known: dict[str, tuple[float, Account]] = field(default_factory=dict)
    """By source, with when it was kept."""
    idle_for: float = 1e9
    unseen_for: float = 1e9

    async def all(self) -> list[SourceRow]:
        return list(self.rows.values())

    async def want(self, source: SourceRow) -> None:
        self.rows.setdefault(source.id, source)

    async def forget(self, source: str) -> None:
        del self.rows[source]

    async def accounts(self) -> dict[str, Account]:
        return {
            source: replace(a, away=None if a.away is None else a.away + self.now() - at)
            for source, (at, a) in self.known.items()
        }

    async def account(self, source: str, account: Account) -> None:
        self.known[source] = (self.now(), account)

    async def move(self, source: str, epoch: int, holder: str | None, account: Account) -> bool:
        if self.rows[source].epoch != epoch:
            return False
        await self.account(source, account)
        self.totals.add("leases_moved", holder is not None and account.flowed)
        self.rows[source] = replace(self.rows[source], holder=holder, epoch=epoch + 1)
        return True

    async def end(self, source: str, reason: str, account: Account) -> None:
        await self.account(source, account)
        self.rows[source] = replace(self.rows[source], holder=None, ended=reason)

    async def idle(self, source: str) -> float:
        return self.idle_for

    async def unseen(self, call: str) -> float:
        return self.unseen_for


class World:
    """A director, its tables, and nodes that do as they are told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.totals = TotalTable()
        self.nodes = NodeTable(self.totals)
        self.sources = SourceTable(lambda: self.now, self.totals)
        self.director = self.begin()
        self.orders: dict[str, Orders] = {}

    def begin(self) -> Director:
        """A director that starts now."""
        self.director = Director(self.nodes, self.sources, self.totals, LEASE, lambda: self.now)
        return self.director

    async def join(self, *instances: str, free: int = 4) -> None:
        for instance in instances:
            await self.director.join(Standing(instance, f"http://{instance}", f"http://{instance}"))
            await self.report(instance, free=free)

    async def report(
        self, instance: str, free: int = 4, held: dict[str, int] | None = None,
        ended: tuple[Ended, ...] = (), flowing: bool = True,
    ) -> Orders | None:  # fmt: skip
        """A renewal; without `held` the node pulls what it was told last."""
        if held is None:
            told = self.orders.get(instance, Orders()).leases
            held = {lease.source: lease.epoch for lease in told}
        media = frozenset(held) if flowing else frozenset()
        said = Report(instance, free, len(held), held, media, ended)
        orders = await self.director.renew(said)
        if orders is not None:
            self.orders[instance] = orders
        return orders

    async def run(self, seconds: float, *reporting: str) -> None:
        """Let time pass, in which these nodes report and the director settles."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            for instance in reporting:
                await self.report(instance)
            await self.director.settle()

    async def want(self, *sources: str) -> None:
        for source in sources:
            await self.director.want(SourceRow(source, f"sealed {source}"))

    def holders(self) -> dict[str, str | None]:
        return {row.id: row.holder for row in self.sources.rows.values()}
