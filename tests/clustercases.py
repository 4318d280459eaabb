"""What every database must do for a cluster; imported beside storecases, for its fixtures."""

import math

from monitor.schema import wire
from monitor.store.batch import Batch, Begun
from monitor.store.nodes import Interrupted, NodeRow
from monitor.store.sources import Account, SourceRow
from monitor.store.store import Store
from tests.alerts import alert
from tests.storecases import DAY, Times, accept, opened


def node(instance: str) -> NodeRow:
    return NodeRow(instance, f"http://{instance}", f"http://inner.{instance}")


async def monitored(store: Store, times: Times, call: str) -> None:
    """A call that is in progress, with a verdict."""
    batch = Batch(begun=[Begun(call, "label", "whip", times.wall)])
    batch.verdicts[call, "remote"] = wire.verdict(alert().verdict)
    await store.calls.write(batch)


async def test_nodes_are_kept_until_long_after_they_were_lost(store: Store, times: Times) -> None:
    await store.nodes.join(node("a"))
    times.wall += 1
    await store.nodes.join(node("b"))
    await store.nodes.drain("b", True)
    await store.nodes.lose("a")
    kept = await store.nodes.all()
    assert [(n.instance, n.draining, n.lost) for n in kept] == [
        ("a", False, True), ("b", True, False),
    ]  # fmt: skip
    assert kept[1].inner_url == "http://inner.b"
    times.wall += DAY + 1
    assert [n.instance for n in await store.nodes.all()] == ["b"]


async def test_calls_of_a_lost_node_are_closed_and_accounted_for(url: str, times: Times) -> None:
    async with opened(times.store(url, "a")) as store:
        await store.nodes.join(node("a"))
        await monitored(store, times, "c")
        await monitored(store, times, "over")
        ended = Batch(ended={"over": ("ended", times.wall)})
        await store.calls.write(ended)
        lost = await store.calls.find("c")
        assert lost is not None
        assert lost["ended"] is None
        assert await store.calls.instance("c") == "a"
    async with opened(times.store(url, "b")) as store:
        await monitored(store, times, "other")
        times.wall += 7
        assert await store.nodes.lose("a") == Interrupted(1, 7.0)
        found = await store.calls.find("c")
        assert found is not None
        verdict = found["participants"][0]["verdict"]
        assert found["ended"] == "interrupted"
        assert verdict is not None
        assert verdict["seconds"]["lost"] == 7.0
        assert verdict["seconds"]["lost_by_reason"] == {"interrupted": 7.0}
        assert verdict["seconds"]["scored"] == 10.0
        # what the lost node writes late does not open it again
        await store.calls.write(Batch(ended={"c": ("stopped", times.wall + 1)}))
        for call, reason in (("c", "interrupted"), ("over", "ended"), ("other", None)):
            found = await store.calls.find(call)
            assert found is not None
            assert found["ended"] == reason
        assert await store.nodes.lose("a") == Interrupted(0, 0.0)


async def test_another_node_delivers_what_a_lost_one_owed(url: str, times: Times) -> None:
    async with opened(times.store(url, "a")) as store:
        await store.nodes.join(node("a"))
        times.monotonic += 1000.0
        await accept(store, alert(1), alert(1, call="d"))
        (first, second) = (await store.deliveries.due("desk", [], 10)).messages
        times.monotonic += 5.0
        await store.deliveries.failed(first.number, "status 500", 60.0)
        await store.deliveries.delivered(second.number)
        assert await store.nodes.orphans() == []
    times.monotonic = 3.0
    async with opened(times.store(url, "b")) as store:
        await store.nodes.lose("a")
        assert await store.nodes.orphans() == ["a"]
        assert await store.deliveries.inherit("a") == 1
        assert await store.nodes.orphans() == []
        due = await store.deliveries.due("desk", [], 10)
        assert due.messages == ()
        assert due.wait is not None
        assert round(due.wait) == 60
        assert round(due.oldest) == 5
        times.monotonic += 61.0
        (again,) = (await store.deliveries.due("desk", [], 10)).messages
        assert again.key == first.key, "the receiver knows a repetition by its key"
        assert again.attempts == 1


async def test_a_lease_is_held_by_one_and_fenced_by_its_epoch(store: Store) -> None:
    sources = store.sources
    await sources.want(SourceRow("s", "sealed"))
    await sources.want(SourceRow("s", "another"))
    assert await sources.all() == [SourceRow("s", "sealed")]
    assert await sources.idle("s") > 1e6
    assert await sources.move("s", 0, "a", Account())
    assert not await sources.move("s", 0, "b", Account()), "somebody else did"
    assert await sources.all() == [SourceRow("s", "sealed", "a", 1)]
    assert 0 <= await sources.idle("s") < 30
    assert await sources.renew("a", {"s": 1, "t": 1}) == {"s"}
    assert await sources.renew("b", {"s": 1}) == frozenset()
    assert await sources.move("s", 1, None, Account())
    assert await sources.renew("a", {"s": 1}) == frozenset(), "superseded"
    assert await sources.idle("s") < 30, "it was renewed before"
    await sources.end("s", "not_found", Account())
    assert (await sources.all())[0].ended == "not_found"
    await sources.forget("s")
    assert await sources.all() == []


async def test_the_account_of_a_source_outlives_who_counted_it(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store:
        await store.sources.want(SourceRow("s", "sealed"))
        await store.sources.want(SourceRow("t", "sealed"))
        assert (await store.sources.accounts())["s"] == Account()
        await store.sources.account("s", Account(True, 2.5))
        assert await store.sources.move("s", 0, "a", Account(True, 2.5, 40.0))
        await store.sources.end("t", "not_found", Account(True, 1.5))
    async with opened(times.store(url)) as store:
        accounts = await store.sources.accounts()
        kept = accounts["s"]
        assert (kept.flowed, kept.lost_seconds) == (True, 2.5)
        assert kept.away is not None
        assert 40 <= kept.away < 100, "by the database's clock: it goes on"
        assert accounts["t"] == Account(True, 1.5)
        assert await store.totals.all() == {"leases_moved": 1}


async def test_a_pull_is_seen_when_something_of_its_call_is_kept(
    store: Store, times: Times
) -> None:
    assert await store.sources.unseen("s.1") == math.inf
    await monitored(store, times, "s.1")
    times.wall += 4
    assert await store.sources.unseen("s.1") == 4.0
    times.wall -= 10
    assert await store.sources.unseen("s.1") == 0.0, "a clock that is behind"


async def test_what_is_lost_with_a_node_is_counted_once(url: str, times: Times) -> None:
    async with opened(times.store(url, "a")) as store:
        await store.nodes.join(node("a"))
        await monitored(store, times, "c")
    async with opened(times.store(url, "b")) as store:
        times.wall += 7
        await store.nodes.lose("a")
        await store.nodes.lose("a")
        assert await store.totals.all() == {
            "nodes_lost": 1, "calls_interrupted": 1, "seconds_lost": 7.0,
        }  # fmt: skip
