"""What a node does with its leases, and that it stops when it is alone."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from monitor.calls.admission import CapacityError
from monitor.cluster.lease import Ended, Lease, Orders, Report
from monitor.cluster.node import NodeLeases, UnreachableError
from monitor.schema.messages import StoreError

LEASE = 5.0


class FakeHost:
    """A service that pulls nothing."""

    def __init__(self) -> None:
        self.instance, self.free, self.calls = "a", 3, 0
        self.pulled: list[str] = []
        self.dropped: list[str] = []
        self.ended: dict[str, str] = {}
        self.refusal: Exception | None = None
        self.in_database: frozenset[str] | None = None
        self.inherited: list[str] = []
        self.draining = False

    def pull(self, lease: Lease) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.pulled.append(lease.call)

    async def drop(self, call: str) -> None:
        self.dropped.append(call)

    def flowing(self, call: str) -> bool:
        return True

    def over(self, call: str) -> str | None:
        return self.ended.pop(call, None)

    def drain(self, draining: bool) -> None:
        self.draining = draining

    async def inherit(self, instances: Sequence[str]) -> None:
        self.inherited += instances

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        if self.in_database is None:
            raise StoreError("unreachable", "away")
        return self.in_database & epochs.keys()


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.host = FakeHost()
        self.orders: Orders | None = Orders()
        self.cut = False
        self.heard: list[Report] = []
        self.tenancy = NodeLeases(self.host, self.ask, LEASE, lambda: self.now)

    async def ask(self, report: Report) -> Orders | None:
        if self.cut:
            raise UnreachableError
        self.heard.append(report)
        return self.orders

    async def renew(self) -> bool:
        going = await self.tenancy.renew()
        await asyncio.sleep(0)
        return going

    async def guard(self) -> None:
        """One look at the fence."""
        task = asyncio.create_task(self.tenancy.guard())
        await asyncio.sleep(0.01)
        task.cancel()


@pytest.fixture
def world() -> World:
    return World()


async def test_it_pulls_what_it_is_told_and_nothing_else(world: World) -> None:
    world.orders = Orders((Lease("s", 1, "x"), Lease("t", 4, "y")))
    await world.renew()
    assert world.host.pulled == ["s.1", "t.4"]
    world.orders = Orders((Lease("s", 3, "x"),))
    await world.renew()
    assert world.host.dropped == ["s.1", "t.4"]
    assert world.host.pulled[2:] == ["s.3"]
    await world.renew()
    assert world.heard[-1].held == {"s": 3}
    assert world.heard[-1].flowing == {"s"}


async def test_alone_it_stops_when_the_lease_is_over(world: World) -> None:
    world.orders = Orders((Lease("s", 1, "x"),))
    world.now = 10.0
    await world.renew()
    world.cut = True
    world.now += LEASE - 0.5
    await world.renew()
    await world.guard()
    assert world.host.dropped == []
    world.now += 1
    await world.guard()
    assert world.host.dropped == ["s.1"]
    world.cut, world.orders = False, Orders((Lease("s", 1, "x"),))
    await world.renew()
    assert world.heard[-1].ended == (Ended("s", 1, "fenced"),)
    assert world.host.pulled == ["s.1"], "a lease that was given up is not taken up again"


async def test_without_a_director_the_database_keeps_it_going(world: World) -> None:
    world.orders = Orders((Lease("s", 1, "x"), Lease("t", 1, "y")))
    await world.renew()
    world.cut, world.host.in_database = True, frozenset({"s", "t"})
    for _ in range(10):
        world.now += 1
        await world.renew()
        await world.guard()
    assert world.host.dropped == []
    # superseded: somebody else pulls it by now
    world.host.in_database = frozenset({"t"})
    await world.renew()
    assert world.host.dropped == ["s.1"]


async def test_it_ends_when_it_was_given_up(world: World) -> None:
    world.orders = None
    assert await world.renew(), "a new node is not known at once"
    world.orders = Orders((Lease("s", 1, "x"),))
    await world.renew()
    world.orders = None
    assert not await world.renew()
    assert world.host.dropped == ["s.1"]


@pytest.mark.parametrize(
    ("refusal", "reason"), [(CapacityError("full"), "capacity"), (ValueError("what"), "unusable")]
)
async def test_what_cannot_be_pulled_is_reported(
    world: World, refusal: Exception, reason: str
) -> None:
    world.host.refusal = refusal
    world.orders = Orders((Lease("s", 1, "x"),))
    await world.renew()
    await world.renew()
    assert list(world.heard[-1].ended) == [Ended("s", 1, reason)]
    world.orders = Orders()
    await world.renew()
    assert not world.heard[-1].ended, "once, if it was heard"


async def test_an_end_that_was_not_heard_is_reported_again(world: World) -> None:
    world.orders = Orders((Lease("s", 1, "x"),))
    await world.renew()
    world.host.ended = {"s.1": "unauthorized"}
    world.cut = True
    await world.renew()
    world.cut, world.now = False, world.now + 3
    await world.renew()
    assert world.heard[-1].ended == (Ended("s", 1, "unauthorized", ago=3.0),)
    assert world.host.dropped == []


async def test_it_drains_and_inherits_as_told(world: World) -> None:
    world.orders = Orders(draining=True, inherit=("b",))
    await world.renew()
    assert world.host.draining
    assert world.host.inherited == ["b"]
