"""Who takes a call, who pulls a source, and what becomes of it when a node is lost."""

from dataclasses import replace

import pytest

from monitor.cluster.director import SupersededError
from monitor.cluster.lease import Ended
from monitor.schema.messages import StoreError
from monitor.store.sources import Account, SourceRow
from tests.unit.cluster.ledgers import LEASE, World


@pytest.fixture
def world() -> World:
    return World()


async def test_calls_go_where_most_room_is(world: World) -> None:
    await world.join("a", "b", free=2)
    await world.join("c", free=3)
    placed = [world.director.place() for _ in range(8)]
    names = [p.instance if p else None for p in placed]
    assert names[0] == "c"
    assert sorted(n for n in names if n) == ["a", "a", "b", "b", "c", "c", "c"]
    assert names[-1] is None


async def test_a_reserved_slot_is_free_again_when_nobody_came(world: World) -> None:
    await world.join("a", free=1)
    assert world.director.place() is not None
    assert world.director.place() is None
    world.now += 3.5
    assert world.director.place() is not None


async def test_participants_of_one_call_meet_on_one_node(world: World) -> None:
    await world.join("a", "b", "c", free=2)
    together = [
        world.director.place("room 7"),
        world.director.place(),
        world.director.place("room 7"),
    ]
    assert together[0] == together[2] != together[1]
    full = world.director.place("room 7")
    assert full is not None
    assert full != together[0], "better alone than not at all"


async def test_a_node_that_never_reported_gets_nothing(world: World) -> None:
    await world.join("a", free=0)
    assert world.director.place() is None


async def test_sources_are_spread_and_told_in_orders(world: World) -> None:
    await world.join("a", "b")
    await world.want("s1", "s2")
    await world.run(1, "a", "b")
    assert set(world.holders().values()) == {"a", "b"}
    (lease,) = world.orders["a"].leases
    assert (lease.epoch, lease.sealed, lease.call) == (1, f"sealed {lease.source}",
                                                       f"{lease.source}.1")  # fmt: skip


async def test_a_lost_nodes_source_waits_for_its_lease_and_moves(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(2, "a")
    await world.join("b")
    lost_at = world.now
    world.director.lose("a")
    await world.run(LEASE - 1, "b")
    assert world.holders() == {"s": None}, "the lost node may pull it still"
    assert world.sources.rows["s"].epoch == 2, "what the lost node writes must find nothing"
    await world.run(1.5, "b")
    assert world.holders() == {"s": "b"}
    assert world.now - lost_at <= LEASE + 1
    assert world.orders["b"].leases[0].epoch == 3
    await world.run(1, "b")
    (source,) = world.director.overview()["sources"]
    assert LEASE <= source["lost_seconds"] <= LEASE + 2
    assert source["flowing"]


async def test_a_renewal_in_the_database_counts_too(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.join("b")
    await world.run(3, "b")
    # the director has not heard a for three seconds, the database half a second ago
    world.sources.idle_for = 0.5
    world.director.lose("a")
    await world.run(LEASE - 1, "b")
    assert world.holders() == {"s": None}
    await world.run(1.5, "b")
    assert world.holders() == {"s": "b"}


async def test_a_lost_node_is_told_and_its_calls_are_closed(world: World) -> None:
    await world.join("a", "b")
    world.director.lose("a")
    assert await world.report("a") is None
    await world.run(0.5, "b")
    assert world.nodes.rows["a"].lost
    tally = world.director.overview()["tally"]
    assert (tally["nodes_lost"], tally["calls_interrupted"], tally["seconds_lost"]) == (1, 2, 7.0)
    world.director.lose("a")
    await world.run(0.5, "b")
    assert world.director.tally.nodes_lost == 1
    assert await world.report("nobody") is None


async def test_a_database_that_is_away_loses_nothing(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.join("b")
    world.nodes.broken = True
    world.director.lose("a")
    for _ in range(3):
        with pytest.raises(StoreError):
            await world.director.settle()
    assert world.holders() == {"s": "a"}
    world.nodes.broken = False
    await world.run(LEASE + 1, "b")
    assert world.holders() == {"s": "b"}


async def test_one_live_node_inherits_what_lost_ones_owe(world: World) -> None:
    await world.join("a", "b", "c")
    world.nodes.owing = ["a"]
    await world.run(1, "b", "c")
    assert world.orders["b"].inherit == ()
    world.director.lose("a")
    await world.run(1, "b", "c")
    heirs = [name for name in ("b", "c") if world.orders[name].inherit == ("a",)]
    assert heirs == ["b"]
    world.nodes.owing = []
    await world.run(1, "b", "c")
    assert world.orders["b"].inherit == ()


async def test_a_draining_node_gives_its_sources_away_and_takes_no_call(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.join("b", free=1)
    assert await world.director.drain("a", True)
    await world.director.settle()
    assert world.orders["a"].leases[0].epoch == 1
    await world.run(1, "a", "b")
    assert world.orders["a"].draining
    assert world.holders() == {"s": "b"}, "at once: it has let go"
    assert world.nodes.rows["a"].draining
    world.now += 4
    for _ in range(4):
        placed = world.director.place()
        assert placed is None or placed.instance != "a"
    assert await world.director.drain("a", False)
    assert not await world.director.drain("nobody", True)


async def test_a_draining_node_keeps_what_nobody_else_can_take(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.director.drain("a", True)
    await world.run(2, "a")
    assert world.holders() == {"s": "a"}


async def test_a_source_that_ended_by_itself_is_pulled_no_more(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.report("a", held={}, ended=(Ended("s", 1, "not_found"),))
    await world.run(1)
    assert world.sources.rows["s"].ended == "not_found"
    assert world.holders() == {"s": None}


@pytest.mark.parametrize("reason", ["fenced", "fault", "capacity"])
async def test_a_pull_that_failed_here_is_tried_again(world: World, reason: str) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    await world.report("a", held={}, ended=(Ended("s", 1, reason),))
    await world.run(0.5)
    assert world.holders() == {"s": "a"}
    assert world.sources.rows["s"].epoch == 3
    # what is said of an earlier lease changes nothing
    await world.report("a", held={"s": 3}, ended=(Ended("s", 1, "not_found"),))
    assert world.sources.rows["s"].ended is None


async def test_a_director_that_starts_anew_goes_on(world: World) -> None:
    await world.join("a", "b")
    await world.want("s1", "s2")
    await world.run(1, "a", "b")
    before = dict(world.sources.rows)
    await world.begin().load()
    await world.run(2, "a", "b")
    assert world.sources.rows == before, "leases go on undisturbed"
    # one that never comes back
    world.director.lose("b")
    await world.run(LEASE + 1, "a")
    assert set(world.holders().values()) == {"a"}


def of(world: World, source: str = "s") -> tuple[float, bool]:
    """A source's lost seconds, and whether it flows."""
    (found,) = [s for s in world.director.overview()["sources"] if s["id"] == source]
    return found["lost_seconds"], found["flowing"]


async def test_a_director_that_dies_with_the_holder_leaves_an_account(world: World) -> None:
    await world.join("a", "b")
    await world.want("s")
    await world.run(60, "a", "b")
    holder = world.holders()["s"]
    other = "b" if holder == "a" else "a"
    # Both die, and after two seconds there is another director, which never hears of the holder;
    # of its call something was kept last a second before it died.
    world.now += 2
    world.sources.idle_for, world.sources.unseen_for = 62.0, 3.0
    await world.begin().load()
    assert of(world) == (0.0, False), "nobody has reported media to this director"
    world.director.lose(str(holder))
    await world.run(LEASE + 1, other)
    assert world.holders()["s"] == other
    lost, flowing = of(world)
    assert flowing
    assert 3 + LEASE <= lost <= 3 + LEASE + 2
    kept = (await world.sources.accounts())["s"]
    assert kept == Account(True, kept.lost_seconds)
    assert kept.lost_seconds == pytest.approx(lost, abs=0.05)


async def test_a_gap_goes_on_while_directors_come_and_go(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(2, "a")
    world.director.lose("a")
    await world.run(1)
    for _ in range(3):
        before = of(world)[0]
        world.now += 10
        await world.begin().load()
        assert of(world)[0] == pytest.approx(before + 10, abs=0.2)
        await world.director.settle()
    await world.join("b")
    await world.run(LEASE + 1, "b")
    lost, flowing = of(world)
    assert flowing
    assert 31 <= lost <= 31 + LEASE + 2
    await world.begin().load()
    assert of(world)[0] == lost, "what was counted stays"


async def test_a_source_that_never_flowed_has_lost_nothing(world: World) -> None:
    await world.join("a")
    await world.want("s")
    for _ in range(4):
        world.now += 0.5
        await world.report("a", flowing=False)
        await world.director.settle()
    world.now += 5
    await world.begin().load()
    world.director.lose("a")
    await world.join("b")
    await world.run(LEASE + 1)
    assert of(world) == (0.0, False)


async def test_a_pull_is_away_from_when_it_ended_and_not_from_when_that_was_heard(
    world: World,
) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(2, "a")
    await world.report("a", held={}, ended=(Ended("s", 1, "fenced", ago=20.0),))
    assert 20 <= of(world)[0] <= 20.5


async def test_a_source_that_has_ended_loses_nothing_more(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(2, "a")
    await world.report("a", held={}, ended=(Ended("s", 1, "fault"),))
    await world.director.settle()
    await world.report("a", held={}, ended=(Ended("s", 3, "not_found"),))
    lost = of(world)[0]
    world.now += 100
    assert of(world)[0] == lost < 2


async def test_totals_outlive_the_director(world: World) -> None:
    await world.join("a", "b")
    await world.want("s")
    await world.run(2, "a", "b")
    holder = str(world.holders()["s"])
    world.director.lose(holder)
    await world.run(LEASE + 1, "b" if holder == "a" else "a")
    before = world.director.overview()["tally"]
    assert before == {
        "nodes_lost": 1, "calls_interrupted": 2, "seconds_lost": 7.0, "leases_moved": 1,
    }  # fmt: skip
    await world.begin().load()
    assert world.director.overview()["tally"] == before


async def test_a_director_that_was_replaced_stops(world: World) -> None:
    await world.join("a")
    await world.want("s")
    world.sources.rows["s"] = replace(world.sources.rows["s"], epoch=7)
    with pytest.raises(SupersededError):
        await world.director.settle()


async def test_settings_that_change_change_what_is_pulled(world: World) -> None:
    await world.join("a")
    await world.want("s-of-the-api")
    await world.director.configure([SourceRow("c1", "x"), SourceRow("c2", "y")])
    await world.run(1, "a")
    await world.report("a", ended=(Ended("c2", 1, "not_found"),))
    assert world.sources.rows["c2"].ended == "not_found"
    again = SourceRow("c2", "y", epoch=50)
    await world.director.configure([again, SourceRow("c3", "z", epoch=50)])
    assert set(world.sources.rows) == {"s-of-the-api", "c2", "c3"}
    assert world.sources.rows["c2"] == again, "a new start is a new try, under a new epoch"


async def test_what_is_not_wanted_is_forgotten(world: World) -> None:
    await world.join("a")
    await world.want("s")
    await world.run(1, "a")
    assert await world.director.forget("s")
    assert not await world.director.forget("s")
    await world.report("a")
    assert world.orders["a"].leases == ()
