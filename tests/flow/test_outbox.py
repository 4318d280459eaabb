"""Committed first, told then, delivered until taken: the outbox on a real SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from monitor.delivery.courier import AT_ONCE, Courier, Terms
from monitor.delivery.fanout import Fanout
from monitor.delivery.outbox import CAPACITY, Outbox
from monitor.delivery.webhook import WebhookDestination
from monitor.metrics.sink import Metrics
from monitor.schema.messages import DeliveryError, Message, StoreError
from monitor.store.recorder import Recorder
from monitor.store.store import Store
from monitor.types import Advice, AlarmState, Alert, Guidance
from tests.alerts import ALLOWED, alert, allowed
from tests.e2e.rig.receiver import Receiver
from tests.fakes import MemorySink
from tests.flow.test_webhook import SECRET
from tests.storecases import score


@dataclass
class Told:
    """A destination that fails as told and keeps what it took."""

    problems: list[str] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)
    committed: list[bool] = field(default_factory=list)
    """Of each that was taken, whether it was in the database."""
    delay: float = 0.0
    at_once: int = 0
    _now: int = 0

    async def send(self, message: Message) -> None:
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await asyncio.sleep(self.delay)
            if self.problems:
                raise DeliveryError(self.problems.pop(0))
            self.taken.append((message.call, message.record["sequence"]))
            self.committed.append(message.record.get("committed", True))
        finally:
            self._now -= 1

    async def run(self) -> None:
        """Nothing to do between messages."""

    async def close(self) -> None:
        """Nothing is open."""


class Post:
    """Store, outbox and couriers as the service wires them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "monitor.db"
        self.metrics = Metrics()
        self.store = Store(f"sqlite:///{self.file}", self.metrics, busy_timeout=0.2)
        self.begun = [0]
        event.listen(
            self.store.database._writer.sync_engine,
            "begin",
            lambda _: self.begun.__setitem__(0, self.begun[0] + 1),
        )
        self.raised = MemorySink()
        self.guidance = Guidance(Advice.STEP_UP)
        self.couriers: list[Courier] = []
        self.outbox: Outbox | None = None

    def to(
        self,
        destination: Told | WebhookDestination,
        name: str = "desk",
        tiers: tuple[str, ...] = ("review", "alert"),
        allowed: bool = True,
        give_up_after: float = 3600.0,
        timeout: float = 5.0,
    ) -> None:
        terms = Terms(name, frozenset(tiers), allowed, timeout, give_up_after)
        jitter = lambda: 0.0  # noqa: E731 - a quarter of a second at first
        self.couriers.append(
            Courier(terms, destination, self.store.deliveries, self.metrics, jitter)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outbox]:
        await self.store.open()
        outbox = Outbox(
            self.store.alerts, self.couriers, lambda a: self.guidance,
            Fanout([self.metrics, self.raised]).alert, self.metrics,
        )  # fmt: skip
        works = [outbox.run(), *(courier.run() for courier in self.couriers)]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield outbox
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.store.close()

    def attempts(self, outcome: str, sink: str = "desk") -> float:
        labels = {"sink": sink, "outcome": outcome}
        name = "monitor_delivery_attempts_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def delivered(self) -> int:
        """Rows that say so."""
        with sqlite3.connect(self.file, timeout=20) as database:
            query = "select count(*) from deliveries where state = 'delivered'"
            return int(database.execute(query).fetchone()[0])

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0


async def until(look: Callable[[], object], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - what is looked at cannot wake anybody
            await asyncio.sleep(0.02)


async def test_what_cannot_be_committed_is_told_once_and_committed_later(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        before = sqlite3.connect(post.file)
        before.execute("BEGIN IMMEDIATE")  # somebody holds the lock
        outbox.alert(alert(1))
        await until(lambda: post.store.degraded)
        assert post.store.degraded == "locked"
        assert post.value("monitor_alerts_uncommitted") == 1
        assert post.value("monitor_store_degraded") == 1
        assert post.value("monitor_store_failures_total", reason="locked") >= 1
        assert not await outbox.drain(0.01)
        await until(lambda: desk.taken)
        assert desk.committed == [False]
        outbox.alert(alert(2))
        await until(lambda: len(desk.taken) == 2)
        assert await post.store.alerts.latest(1) == []
        before.rollback()
        before.close()
        assert await outbox.drain(60)
        await until(lambda: post.delivered() == 2)
        outbox.alert(alert(3))
        await until(lambda: len(desk.taken) == 3)
        assert desk.taken == [("c", 1), ("c", 2), ("c", 3)]
        assert desk.committed == [False, False, True]
        assert [a.sequence for a in post.raised.alerts] == [1, 2, 3]
        assert {a.guidance for a in post.raised.alerts} == {post.guidance}
        assert (await post.store.alerts.latest(1))[0]["advice"] == "step_up"
        assert post.value("monitor_alerts_total", tier="alert", type="voice", action="raised") == 3
        assert post.value("monitor_store_degraded") == 0
        assert post.value("monitor_alerts_uncommitted") == 0


async def test_nobody_hears_of_an_alert_before_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        going_on = asyncio.Event()
        accept = post.store.alerts.accept

        async def slow(batch: Any) -> None:
            await going_on.wait()
            await accept(batch)

        monkeypatch.setattr(post.store.alerts, "accept", slow)
        outbox.alert(alert(1))
        await asyncio.sleep(0.3)
        assert (post.raised.alerts, desk.taken) == ([], [])
        going_on.set()
        await until(lambda: desk.taken)
        assert (desk.committed, len(post.raised.alerts)) == ([True], 1)


def counted(post: Post) -> int:
    """Transactions that were begun to write."""
    return post.begun[0]


async def run(file: Path, statement: str) -> tuple[int, ...] | None:
    """First row that another connection gets.

    In a thread: the service may have a transaction open that only the loop brings to its end.
    """

    def once() -> tuple[int, ...] | None:
        with closing(sqlite3.connect(file, timeout=20)) as database, database:
            row: tuple[int, ...] | None = database.execute(statement).fetchone()
            return row

    return await asyncio.to_thread(once)


async def take_table_away(file: Path) -> None:
    await run(file, "alter table messages rename to messages_x")


async def put_table_back(file: Path) -> None:
    await run(file, "alter table messages_x rename to messages")


async def test_an_alert_outlives_a_table_that_is_missing_for_a_while(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        await take_table_away(post.file)
        for n in range(1, 6):
            outbox.alert(alert(n))
        await until(lambda: len(desk.taken) == 5)
        # It may be refused as often as it likes: none of the alerts is at fault.
        refused = post.value("monitor_store_failures_total", reason="other")
        await until(
            lambda: post.value("monitor_store_failures_total", reason="other") >= refused + 3
        )
        assert post.value("monitor_store_dropped_total", kind="alert") == 0
        await put_table_back(post.file)
        assert await outbox.drain(60)
        assert len(await post.store.alerts.latest(10)) == 5
        await until(lambda: post.delivered() == 5)
        assert desk.taken == [("c", n) for n in range(1, 6)]


async def test_alerts_are_told_of_whose_database_is_damaged(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        outbox.alert(alert(1))
        await until(lambda: post.delivered() == 1)
        # What still lay in the log would outlive the damage to the file.
        while await run(post.file, "pragma wal_checkpoint(truncate)") != (0, 0, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with post.file.open("r+b") as file:
            for at in range(4096, file.seek(0, 2), 4096):
                file.seek(at)
                file.write(bytes(range(64)))
        for n in (2, 3):
            outbox.alert(alert(n))
        await until(lambda: len(desk.taken) == 3)
        assert desk.committed == [True, False, False]
        assert post.value("monitor_store_dropped_total", kind="alert") == 0


async def test_an_uncommitted_alert_is_tried_until_it_is_taken(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told(problems=["status 500"] * 2)
    post.to(desk)
    async with post.running() as outbox:
        await take_table_away(post.file)
        outbox.alert(alert(1))
        outbox.alert(alert(2))
        await until(lambda: len(desk.taken) == 2)
        assert desk.taken == [("c", 1), ("c", 2)]
        assert post.attempts("failed") == 2
        await put_table_back(post.file)


async def test_an_alert_is_not_written_after_notes_that_wait(tmp_path: Path) -> None:
    post = Post(tmp_path)
    await post.store.open()
    order: list[str] = []

    async def note(name: str, first: bool = False) -> None:
        async with post.store.database.write(first):
            order.append(name)

    async with post.store.database.write():
        waiting = [asyncio.create_task(note(f"note {n}")) for n in range(3)]
        await asyncio.sleep(0)
        gone = asyncio.create_task(note("gone"))
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(note("alert", first=True)))
        await asyncio.sleep(0)
        gone.cancel()
    await asyncio.gather(*waiting)
    assert order == ["alert", "note 0", "note 1", "note 2"]
    await post.store.close()


async def test_what_became_of_messages_is_written_together(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        for n in range(1, 9):
            outbox.alert(alert(1, call=f"call{n}"))
        await until(lambda: post.delivered() == 8)
        before = counted(post)
        numbers = [row["number"] for row in await post.store.deliveries.latest(8)]
        failing = [post.store.deliveries.failed(n, "status 500", 3600.0) for n in numbers]
        await asyncio.gather(*failing)
        rows = await post.store.deliveries.latest(8)
        assert {row["error"] for row in rows} == {"status 500"}
        # The first writes its own; all others wait for it, and share the next.
        assert counted(post) - before <= 2


async def test_disk_full_keeps_alerts_until_there_is_room(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        keeping = Recorder(post.store.calls, post.metrics, str, lambda call, who: None)
        pages = await limit(post, 1)
        big = replace(alert(1), models={str(i): "x" * 200 for i in range(500)})
        outbox.alert(big)
        for start in range(3000):
            keeping.window("c", score(float(start)))
        await until(lambda: post.store.degraded)
        assert post.store.degraded == "full"
        assert not await keeping.flush()
        await until(lambda: desk.taken)
        assert desk.committed == [False]
        await limit(post, pages)
        assert await outbox.drain(60)
        keeping.window("c", score(3000.0))
        assert await keeping.flush()
        starts = [p["start"] for p in await post.store.calls.timeline("c")]
        assert starts == [float(i) for i in range(3001)]
        assert post.store.degraded is None


async def limit(post: Post, pages: int) -> int:
    """Let the file have no more pages than this; SQLite answers beyond it as for a full disk."""
    async with post.store.database.write() as connection:
        rows = await connection.exec_driver_sql("PRAGMA max_page_count")
        before = int(rows.scalar_one())
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    return before


async def test_an_alert_that_the_database_refuses_does_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    post, desk = Post(tmp_path), Told()
    post.to(desk)
    async with post.running() as outbox:
        outbox.alert(alert(1))
        outbox.alert(replace(alert(2), raised_at="not a time"))
        outbox.alert(alert(3))
        await until(lambda: len(desk.taken) == 3)
        kept = [record["sequence"] for record in await post.store.alerts.latest(10)]
    told = dict(zip([n for _, n in desk.taken], desk.committed, strict=True))
    assert told == {1: True, 2: False, 3: True}
    assert sorted(a.sequence for a in post.raised.alerts) == [1, 2, 3]
    assert sorted(kept) == [1, 3]
    assert post.value("monitor_store_dropped_total", kind="alert") == 1


async def test_waiting_alerts_are_bounded(tmp_path: Path) -> None:
    post = Post(tmp_path)
    await post.store.open()
    outbox = Outbox(post.store.alerts, [], lambda a: post.guidance, post.raised.alert, post.metrics)
    for i in range(CAPACITY + 5):
        outbox.alert(alert(i))
    assert post.value("monitor_alerts_uncommitted") == CAPACITY
    assert post.value("monitor_store_dropped_total", kind="alert") == 5
    await post.store.close()


async def test_order_by_call_through_failures_and_restarts(tmp_path: Path) -> None:
    desk = Told(problems=["status 500"] * 3)
    first = Post(tmp_path)
    first.to(desk)
    async with first.running() as outbox:
        for n in (1, 2, 3):
            outbox.alert(alert(n, call="a"))
            outbox.alert(alert(n, call="b"))
        await until(lambda: first.attempts("failed") == 2)
    second = Post(tmp_path)
    second.to(desk)
    async with second.running():
        await until(lambda: len(desk.taken) == 6)
        await until(lambda: not second.value("monitor_delivery_backlog_seconds", sink="desk"))
    for call in ("a", "b"):
        assert [n for c, n in desk.taken if c == call] == [1, 2, 3]
    assert first.attempts("failed") + second.attempts("failed") == 3
    assert first.attempts("delivered") + second.attempts("delivered") == 6


async def test_a_message_that_is_too_old_becomes_a_dead_letter(tmp_path: Path) -> None:
    post, desk = Post(tmp_path), Told(problems=["status 500"] * 99)
    post.to(desk, give_up_after=1.0)
    async with post.running() as outbox:
        outbox.alert(alert(1))
        await until(lambda: post.attempts("dropped") == 1)
        await until(lambda: post.value("monitor_delivery_dead_letters", sink="desk") == 1)
        desk.problems.clear()
        outbox.alert(alert(2))
        await until(lambda: desk.taken == [("c", 2)])
        (dead,) = await post.store.deliveries.latest(10, state="dead")
        assert dead["error"] == "status 500"
        assert await post.store.deliveries.retry(dead["number"], "anna")
        post.couriers[0].wake()
        await until(lambda: desk.taken == [("c", 2), ("c", 1)])


async def test_a_clock_that_jumps_neither_delays_nor_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    real = time.time
    offset = 0.0
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    post, desk = Post(tmp_path), Told(problems=["status 500"] * 2)
    post.store.deliveries._wall = time.time
    post.store.alerts._wall = time.time
    post.to(desk, give_up_after=60.0)
    async with post.running() as outbox:
        outbox.alert(alert(1))
        await until(lambda: post.attempts("failed") == 1)
        offset = -86_400.0
        await until(lambda: post.attempts("failed") == 2)
        offset = 10 * 86_400.0
        await until(lambda: desk.taken)
    assert post.attempts("dropped") == 0


async def test_wanted_tiers_and_allowed_speech(tmp_path: Path) -> None:
    post = Post(tmp_path)
    everything, grave, people = Told(), Told(), Told()
    post.to(everything, "everything")
    post.to(grave, "grave", tiers=("alert",))
    post.to(people, "people", allowed=False)
    async with post.running() as outbox:
        outbox.alert(alert(1, AlarmState.REVIEW))
        await until(lambda: everything.taken)
        post.guidance = Guidance(Advice.CONTINUE, ALLOWED)
        outbox.alert(alert(2))
        await until(lambda: len(everything.taken) == 2)
        await until(lambda: grave.taken == [("c", 2)])
        await until(lambda: people.taken == [("c", 1)])
        (told,) = await post.store.alerts.latest(1)
        assert told["allowed"] is not None
        assert told["allowed"]["name"] == "announcements"
        assert post.value("monitor_alerts_allowed_total", tier="alert") == 1
        assert len(await post.store.deliveries.latest(10)) == 4


async def test_a_slow_destination_holds_up_nobody_else(tmp_path: Path) -> None:
    post, slow, quick = Post(tmp_path), Told(delay=60.0), Told()
    post.to(slow, "slow", timeout=0.3)
    post.to(quick, "quick")
    async with post.running() as outbox:
        for i in range(3 * AT_ONCE):
            outbox.alert(alert(1, call=f"call{i}"))
        await until(lambda: len(quick.taken) == 3 * AT_ONCE)
        await until(lambda: post.attempts("failed", "slow") >= 2 * AT_ONCE)
    assert slow.at_once == AT_ONCE


async def test_what_was_taken_is_not_sent_again_while_the_database_is_locked(
    tmp_path: Path,
) -> None:
    post, desk = Post(tmp_path), Told(delay=0.3)
    post.to(desk)
    async with post.running() as outbox:
        outbox.alert(alert(1))
        await until(lambda: desk.at_once)
        lock = sqlite3.connect(post.file)
        lock.execute("BEGIN IMMEDIATE")
        await until(lambda: post.store.degraded)
        post.couriers[0].wake()
        await asyncio.sleep(0.5)
        lock.rollback()
        lock.close()
        outbox.alert(alert(2))
        await until(lambda: len(desk.taken) == 2)
    assert [n for _, n in desk.taken] == [1, 2]


async def test_a_real_receiver_that_is_slow_fails_and_resets(tmp_path: Path) -> None:
    post = Post(tmp_path)
    with Receiver() as receiver:
        receiver.plan = [500, 0, 503]
        post.to(WebhookDestination(receiver.url(), [SECRET]), timeout=0.5)
        async with post.running() as outbox:
            for n in (1, 2):
                outbox.alert(alert(n))
            await until(lambda: post.attempts("delivered") == 2)
            receiver.delay = 2.0
            outbox.alert(alert(3))
            await until(lambda: post.attempts("failed") == 4)
            receiver.delay = 0.0
            await until(lambda: post.attempts("delivered") == 3)
        for sent in post.couriers:
            await sent._destination.close()
        order = [p.headers["webhook-id"].split(":")[4] for p in receiver.posts]
    assert order[:5] == ["1", "1", "1", "1", "2"]
    assert order[-1] == "3"


def test_marks_of_allowed_speech_are_in_the_record() -> None:
    found: Alert = allowed(alert(1))
    assert found.guidance is not None
    assert found.guidance.allowance is ALLOWED


async def test_a_quiet_store_finds_out_that_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.store.store._WATCH", 0.05)
    post = Post(tmp_path)
    async with post.running():
        lock = sqlite3.connect(post.file)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await post.store.holds.put("call", "c", "c", "case 7", "anna")
        assert post.store.degraded == "locked"
        watching = asyncio.create_task(post.store.watch())
        await asyncio.sleep(0.3)
        assert post.store.degraded == "locked"
        lock.rollback()
        lock.close()
        await until(lambda: post.store.degraded is None)
        watching.cancel()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_for_time_is_left_alone(tmp_path: Path, status: int) -> None:
    post = Post(tmp_path)
    with Receiver() as receiver:
        receiver.plan, receiver.answer_headers = [status], {"Retry-After": "3"}
        post.to(WebhookDestination(receiver.url(), [SECRET]))
        async with post.running() as outbox:
            outbox.alert(alert(1, call="one"))
            await until(lambda: post.attempts("failed") == 1)
            # Of another call: it is the receiver that wants to be left alone.
            outbox.alert(alert(1, call="other"))
            await until(lambda: post.attempts("delivered") == 2)
        await post.couriers[0]._destination.close()
        first, *later = [p.monotonic for p in receiver.posts]
    assert len(later) == 2
    assert min(later) - first >= 2.9


async def test_a_receiver_that_is_gone_is_sent_nothing_more(tmp_path: Path) -> None:
    post = Post(tmp_path)
    with Receiver() as receiver:
        receiver.status = 410
        post.to(WebhookDestination(receiver.url(), [SECRET]))
        async with post.running() as outbox:
            deliveries = post.store.deliveries
            outbox.alert(alert(1, call="one"))
            await until(lambda: post.attempts("dropped") == 1)
            outbox.alert(alert(1, call="other"))
            await until(lambda: post.attempts("dropped") == 2)
            assert len(receiver.posts) == 1
            # They are counted before they are written down.
            async with asyncio.timeout(60):
                while len(dead := await deliveries.latest(10, state="dead")) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert [d["error"] for d in dead] == [
                "the destination wants no more (410)", "status 410",
            ]  # fmt: skip
            # Somebody has repaired it, and asks to send one of them again.
            receiver.status = 204
            assert await deliveries.retry(dead[1]["number"], "operator")
            post.couriers[0].wake()
            await until(lambda: post.attempts("delivered") == 1)
            outbox.alert(alert(1, call="third"))
            await until(lambda: post.attempts("delivered") == 2)
        await post.couriers[0]._destination.close()
