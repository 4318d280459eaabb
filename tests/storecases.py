"""What every database must do: tests/flow runs them on SQLite, tests/e2e on PostgreSQL.

A module that imports them gives the fixture `url`, an empty database for each test.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, QueuePool, text

from monitor.metrics.sink import Metrics
from monitor.offline.calibrate import find_recordings
from monitor.schema import wire
from monitor.schema.messages import Due, StoreError
from monitor.store.recorder import Recorder
from monitor.store.retention import Terms
from monitor.store.reviews import ReviewOutcome
from monitor.store.store import Store
from monitor.store.tables import metadata
from monitor.training.data.clips import Split, load_clips
from monitor.types import AlarmState, Alert, Score, Span
from tests.alerts import ALLOWED, alert

DAY = 86_400.0


@dataclass
class Times:
    """The two clocks, moved by the test."""

    wall: float = 1_800_000_000.0
    monotonic: float = 1000.0
    terms: Terms = field(default_factory=lambda: Terms(7 * DAY, 90 * DAY, 30 * DAY, 730 * DAY))

    def store(self, url: str, instance: str = "main") -> Store:
        return Store(
            url, Metrics(), instance=instance, busy_timeout=0.3, terms=self.terms,
            wall=lambda: self.wall, clock=lambda: self.monotonic,
        )  # fmt: skip


@pytest.fixture
def times() -> Times:
    return Times()


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str, times: Times) -> AsyncIterator[Store]:
    async with opened(times.store(url)) as found:
        yield found


async def accept(store: Store, *alerts: Alert, to: tuple[str, ...] = ("desk",)) -> None:
    await store.alerts.accept([(wire.alert(a), to) for a in alerts])


def keys(due: Due) -> list[str]:
    return [m.key.split(":")[0] + m.key.split(":")[4] for m in due.messages]


async def test_an_accepted_alert_is_kept_once_and_due_at_every_destination(store: Store) -> None:
    first, second = alert(1), alert(2)
    await accept(store, first, second, to=("desk", "siem"))
    await accept(store, second, to=("desk", "siem"))
    assert [r["sequence"] for r in await store.alerts.latest(10)] == [2, 1]
    assert (await store.alerts.latest(10, call="other")) == []
    assert await store.alerts.latest(1) == [wire.alert(second)]
    for destination in ("desk", "siem"):
        due = await store.deliveries.due(destination, [], 10)
        (message,) = due.messages
        assert (message.key, message.attempts) == (first.idempotency_key, 0)
        assert message.record == wire.alert(first)
    assert await store.deliveries.due("nobody", [], 10) == Due((), None, 0.0, 0)
    assert len(await store.deliveries.latest(10)) == 4


async def test_order_is_kept_by_call_and_calls_do_not_wait_for_each_other(store: Store) -> None:
    await accept(store, alert(1), alert(2), alert(1, call="d"), alert(2, call="d"))
    due = await store.deliveries.due("desk", [], 10)
    assert keys(due) == ["c1", "d1"]
    assert keys(await store.deliveries.due("desk", ["c"], 10)) == ["d1"]
    assert keys(await store.deliveries.due("desk", [], 1)) == ["c1"]
    await store.deliveries.failed(due.messages[0].number, "status 500", 60.0)
    assert keys(await store.deliveries.due("desk", [], 10)) == ["d1"]
    await store.deliveries.delivered(due.messages[1].number)
    assert keys(await store.deliveries.due("desk", [], 10)) == ["d2"]
    await store.deliveries.dead(due.messages[0].number, "status 500")
    after = await store.deliveries.due("desk", [], 10)
    assert keys(after) == ["c2", "d2"]
    assert after.dead == 1


async def test_waiting_follows_running_time_whatever_the_wall_clock_does(
    store: Store, times: Times
) -> None:
    await accept(store, alert(1))
    (message,) = (await store.deliveries.due("desk", [], 1)).messages
    await store.deliveries.failed(message.number, "timeout", 60.0)
    for jump in (-1e7, 2e7):
        times.wall += jump
        due = await store.deliveries.due("desk", [], 1)
        assert due.messages == ()
        assert due.wait == pytest.approx(60.0)
        assert due.oldest == pytest.approx(0.0)
    times.monotonic += 61.0
    (again,) = (await store.deliveries.due("desk", [], 1)).messages
    assert again.attempts == 1
    assert again.age == pytest.approx(61.0)


async def test_running_time_goes_on_after_a_restart_and_stands_still_between(
    url: str, times: Times
) -> None:
    async with opened(times.store(url)) as store:
        times.monotonic += 100.0
        await accept(store, alert(1))
        (message,) = (await store.deliveries.due("desk", [], 1)).messages
        times.monotonic += 10.0
        await store.deliveries.failed(message.number, "timeout", 30.0)
    # the machine restarts: another monotonic clock, another day
    times.monotonic, times.wall = 5.0, times.wall + DAY
    async with opened(times.store(url)) as store:
        due = await store.deliveries.due("desk", [], 1)
        assert due.messages == ()
        assert due.wait == pytest.approx(30.0)
        times.monotonic += 31.0
        (message,) = (await store.deliveries.due("desk", [], 1)).messages
        assert message.age == pytest.approx(41.0)


async def test_instances_deliver_and_close_their_own(url: str, times: Times) -> None:
    async with opened(times.store(url)) as one:
        await accept(one, alert(1))
        if one.database.kind == "sqlite":
            second = times.store(url, "other")
            with pytest.raises(StoreError, match="another service"):
                await second.open()
            await second.close()
            return
        async with opened(times.store(url, "other")) as other:
            assert (await other.deliveries.due("desk", [], 1)).messages == ()
            assert await other.calls.interrupt() == 0
            assert await other.deliveries.abandon([]) == 0
            assert [r["sequence"] for r in await other.alerts.latest(10)] == [1]
        assert await one.calls.interrupt() == 1


async def test_readers_cannot_hold_up_what_delivers(store: Store) -> None:
    await accept(store, alert(1))
    async with AsyncExitStack() as held:
        pool = store.database._reader.sync_engine.pool
        assert isinstance(pool, QueuePool)
        for _ in range(pool.size()):
            await held.enter_async_context(store.database.read())
        assert keys(await store.deliveries.due("desk", [], 10)) == ["c1"]


async def test_a_dead_letter_is_sent_again_on_request(store: Store, times: Times) -> None:
    await accept(store, alert(1))
    (message,) = (await store.deliveries.due("desk", [], 1)).messages
    assert not await store.deliveries.retry(message.number, "anna")
    await store.deliveries.dead(message.number, "x" * 1000)
    times.monotonic += 1e6
    (row,) = await store.deliveries.latest(10, state="dead", destination="desk")
    assert row["error"] == "x" * 200
    assert await store.deliveries.retry(message.number, "anna")
    (again,) = (await store.deliveries.due("desk", [], 1)).messages
    assert (again.attempts, again.age, again.key) == (0, 0.0, message.key)
    (entry,) = await store.audit.latest(10)
    assert (entry["by"], entry["action"]) == ("anna", "delivery.retry")


async def test_what_waits_for_a_removed_destination_is_given_up(store: Store) -> None:
    await accept(store, alert(1), to=("desk", "gone"))
    assert await store.deliveries.abandon(["desk"]) == 1
    assert keys(await store.deliveries.due("desk", [], 10)) == ["c1"]
    (row,) = await store.deliveries.latest(10, state="dead")
    assert row["destination"] == "gone"


def recorder(store: Store, times: Times) -> Recorder:
    return Recorder(
        store.calls, Metrics(), lambda call: f"label of {call}",
        lambda call, who: ALLOWED if who == "ivr" else None, wall=lambda: times.wall,
    )  # fmt: skip


def score(start: float, participant: str = "remote") -> Score:
    return Score(
        detector="voice", participant=participant, span=Span(start, start + 3),
        fresh=Span(start, start + 1), value=1.5, llr=0.5, model="m", calibration="c",
    )  # fmt: skip


async def test_calls_and_timelines_come_back(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store:
        keeping = recorder(store, times)
        keeping.call_started("c", "rtsp", "remote")
        assert await keeping.flush()
        for start in (0.0, 1.0):
            keeping.window("c", score(start))
        keeping.window("c", score(0.0, "ivr"))
        keeping.verdict("c", alert().verdict)
        keeping.verdict("c", alert(participant="ivr").verdict)
        keeping.call_started("d", "whip", "re\0mote")
        assert await keeping.flush()
        times.wall += 10
        keeping.call_ended("c", "ended")
        keeping.window("c", score(2.0))
        assert await keeping.flush()
        assert await keeping.flush()
        assert [c["id"] for c in await store.calls.latest(10)][-1] in ("c", "d")
        assert [c["id"] for c in await store.calls.latest(10, without=["c"])] == ["d"]
        found = await store.calls.find("c")
        assert found is not None
        assert (found["label"], found["ingest"]) == ("label of c", "rtsp")
        assert found["ended"] == "ended"
        members = {m["name"]: m for m in found["participants"]}
        assert members["remote"]["verdict"] == wire.verdict(alert().verdict)
        assert members["remote"]["allowed"] is None
        allowed = members["ivr"]["allowed"]
        assert allowed is not None
        assert allowed["name"] == "announcements"
        line = await store.calls.timeline("c", "remote")
        assert [p["start"] for p in line] == [0.0, 1.0, 2.0]
        assert (line[0]["score"], line[0]["abstained"]) == (1.5, None)
        assert len(await store.calls.timeline("c")) == 4
    # a crash: d never ended
    async with opened(times.store(url)) as store:
        assert await store.calls.interrupt() == 1
        assert await store.calls.interrupt() == 0
        crashed = await store.calls.find("d")
        assert crashed is not None
        assert crashed["ended"] == "interrupted"
        assert await store.calls.find("nobody") is None


async def test_an_alert_may_come_before_its_call(store: Store, times: Times) -> None:
    await accept(store, alert(1, participant="a\0b" + "x" * 500))
    keeping = recorder(store, times)
    keeping.call_started("c", "rtsp", "remote")
    assert await keeping.flush()
    found = await store.calls.find("c")
    assert found is not None
    assert (found["label"], found["ingest"]) == ("label of c", "rtsp")


async def test_reviews_make_a_labelled_set(store: Store, times: Times, tmp_path: Path) -> None:
    keeping = recorder(store, times)
    keeping.verdict("good", alert(call="good").verdict)
    assert await keeping.flush()
    good, bad, both, unsure = (alert(1, call=c) for c in ("good", "bad", "both", "unsure"))
    again = alert(1, AlarmState.REVIEW, call="both")
    odd = alert(1, call="odd", participant="../=x")
    await accept(store, good, bad, both, again, unsure, odd)
    assert await store.reviews.add("0" * 24, ReviewOutcome.UNSURE, "?", "anna") is None
    for about, outcome in [
        (good, ReviewOutcome.TRUE_FAKE), (good, ReviewOutcome.FALSE_ALARM),
        (bad, ReviewOutcome.TRUE_FAKE), (unsure, ReviewOutcome.UNSURE),
        (both, ReviewOutcome.TRUE_FAKE), (again, ReviewOutcome.FALSE_ALARM),
        (odd, ReviewOutcome.BENIGN_PROCESSING),
    ]:  # fmt: skip
        assert await store.reviews.add(about.id, outcome, "heard it", "anna")
    kept = await store.reviews.latest(10, alert=good.id)
    assert [r["outcome"] for r in kept] == ["false_alarm", "true_fake"]
    assert len(await store.reviews.latest(10, outcome=ReviewOutcome.TRUE_FAKE)) == 3
    path = tmp_path / "genuine.csv"
    path.write_text(await store.reviews.labelled("genuine", "{call}/{participant}.wav"))
    recordings = find_recordings(path)
    assert [r.path.relative_to(tmp_path).as_posix() for r in recordings] == [
        "good/remote.wav", "odd/..%2F%3Dx.wav",
    ]  # fmt: skip
    assert recordings[0].speaker == "good/remote"
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(await store.reviews.labelled("all", "{call}.wav"))
    clips = {clip.path: clip for clip in load_clips(tmp_path)}
    assert (clips["good.wav"].fake, clips["good.wav"].seconds) == (False, 12.0)
    # What analysts judged is measured, never trained on.
    assert {clip.split for clip in clips.values()} == {Split.TEST}
    assert (clips["bad.wav"].fake, clips["bad.wav"].generator) == (True, "unknown")
    assert (await store.reviews.labelled("fake", "{call}.wav")).count("\n") == 2
    assert (await store.reviews.labelled("all", "{call}.wav")).count("\n") == 4
    actions = [row["action"] for row in await store.audit.latest(10)]
    assert actions == ["review.add"] * 7


async def rows(store: Store, table: str) -> int:
    async with store.database.read() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def ended_call(store: Store, times: Times, call: str) -> None:
    keeping = recorder(store, times)
    keeping.call_started(call, "rtsp", "remote")
    keeping.window(call, score(0.0))
    keeping.verdict(call, alert(call=call).verdict)
    keeping.call_ended(call, "ended")
    assert await keeping.flush()
    found = alert(1, call=call)
    await accept(store, found)
    for message in (await store.deliveries.due("desk", [], 10)).messages:
        await store.deliveries.delivered(message.number)
    await store.reviews.add(found.id, ReviewOutcome.UNSURE, "?", "anna")


async def test_retention_deletes_what_is_old_and_says_so(store: Store, times: Times) -> None:
    for call in ("old", "held", "heldalert"):
        await ended_call(store, times, call)
    await store.holds.put("call", "held", "held", "case 7", "anna")
    await store.holds.put("alert", alert(call="heldalert").id, "heldalert", "case 8", "anna")
    assert await store.holds.held("held")
    assert not await store.holds.held("old")
    assert len(await store.holds.all()) == 2
    times.wall += 8 * DAY
    await ended_call(store, times, "young")
    await store.retention.sweep()
    assert await store.calls.timeline("old") == []
    assert len(await store.calls.timeline("held")) == 1
    assert len(await store.calls.timeline("young")) == 1
    assert len(await store.alerts.latest(10)) == 4
    times.wall += 83 * DAY
    await store.retention.sweep()
    assert {c["id"] for c in await store.calls.latest(10)} == {"held", "heldalert", "young"}
    assert len(await store.alerts.latest(10)) == 3
    assert {r["alert"] for r in await store.reviews.latest(10)} == {
        alert(call=c).id for c in ("held", "heldalert", "young")
    }
    deleted = [r for r in await store.audit.latest(99) if r["action"] == "retention.delete"]
    assert {(r["by"], r["subject"]) for r in deleted} >= {
        ("service", "calls"), ("service", "timelines"),
    }  # fmt: skip
    assert [r["detail"]["calls"] for r in deleted if r["subject"] == "calls"] == [["old"]]
    assert not await store.holds.remove("call", "nobody", "bert")
    assert await store.holds.remove("call", "held", "bert")
    assert await store.holds.remove("alert", alert(call="heldalert").id, "bert")
    times.wall += 100 * DAY
    await store.retention.sweep()
    for table in ("calls", "participants", "timelines", "alerts", "messages", "deliveries"):
        assert await rows(store, table) == 0, table
    actions = [row["action"] for row in await store.audit.latest(99)]
    assert actions.count("hold.put") == actions.count("hold.remove") == 2
    times.wall += 1000 * DAY
    await store.retention.sweep()
    assert [row["subject"] for row in await store.audit.latest(99)] == ["audit"]


async def test_retention_waits_for_what_is_not_delivered(store: Store, times: Times) -> None:
    await ended_call(store, times, "c")
    await accept(store, alert(2))
    times.wall += 400 * DAY
    await store.retention.sweep()
    assert len(await store.alerts.latest(10)) == 2
    (message,) = (await store.deliveries.due("desk", [], 10)).messages
    await store.deliveries.delivered(message.number)
    await store.retention.sweep()
    assert await store.alerts.latest(10) == []


async def test_zero_days_keep_for_ever(url: str, times: Times) -> None:
    times.terms = Terms(0, 0, 0, 0)
    async with opened(times.store(url)) as store:
        await ended_call(store, times, "c")
        times.wall += 10_000 * DAY
        await store.retention.sweep()
        assert await store.calls.count() == 1
        assert len(await store.calls.timeline("c")) == 1


async def test_migrations_make_the_tables(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with store.database.write() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_newer_database_is_refused(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store, store.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer = times.store(url)
    with pytest.raises(StoreError, match="9999"):
        await newer.open()
    await newer.close()


async def test_only_the_call_that_is_at_fault_is_not_kept(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store:
        keeping = recorder(store, times)
        for call in ("a", "b", "c"):
            keeping.call_started(call, "rt\ud800sp" if call == "b" else "rtsp", "remote")
            keeping.window(call, score(0.0))
            keeping.call_ended(call, "ended")
        assert await keeping.flush()
        assert {c["id"] for c in await store.calls.latest(10)} == {"a", "c"}
        assert store.degraded is None
        dropped = keeping._metrics.registry.get_sample_value
        assert dropped("monitor_store_dropped_total", {"kind": "call"}) == 1


async def test_notes_outlive_a_table_that_is_missing_for_a_while(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store:
        keeping = recorder(store, times)
        async with store.database.write() as connection:
            await connection.execute(text("alter table timelines rename to elsewhere"))
        keeping.call_started("c", "rtsp", "remote")
        keeping.window("c", score(0.0))
        assert not await keeping.flush()
        keeping.window("c", score(1.0))
        keeping.call_ended("c", "ended")
        assert not await keeping.flush()
        async with store.database.write() as connection:
            await connection.execute(text("alter table elsewhere rename to timelines"))
        assert await keeping.flush()
        assert [p["start"] for p in await store.calls.timeline("c")] == [0.0, 1.0]
        found = await store.calls.find("c")
        assert found is not None
        assert found["ended"] == "ended"
