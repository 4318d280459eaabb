"""Whose statements come first, where SQLite has one writer."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from monitor.schema import wire
from monitor.store.batch import SIZE, Batch, Begun
from monitor.store.retention import CALLS, ROWS
from monitor.store.store import Store
from tests.alerts import alert
from tests.storecases import DAY, Times, accept, opened, recorder, score, times

__all__ = ["times"]


class Statements:
    """What the writer was told, in words such as `INSERT messages`, and `COMMIT`."""

    def __init__(self, store: Store) -> None:
        self.said: list[str] = []
        self.meanwhile: dict[str, Callable[[], Awaitable[None]]] = {}
        """What begins while a statement is under way, once."""
        self.begun: list[asyncio.Future[None]] = []
        engine = store.database._writer.sync_engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)

    def _statement(
        self, connection: Connection, cursor: object, statement: str, *_: object
    ) -> None:
        found = re.match(r"(INSERT) INTO (\w+)|(DELETE) FROM (\w+)|(UPDATE) (\w+)", statement)
        if found is None or "uptime" in found.groups():
            return
        words = " ".join(word for word in found.groups() if word)
        self.said.append(words)
        if words in self.meanwhile:
            self.begun.append(asyncio.ensure_future(self.meanwhile.pop(words)()))

    def _commit(self, connection: Connection) -> None:
        self.said.append("COMMIT")

    def transactions(self) -> list[list[str]]:
        parts = " ".join(f"{words}," for words in self.said).split("COMMIT,")
        return [
            [words.strip() for words in part.split(",") if words.strip()] for part in parts[:-1]
        ]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'monitor.db'}"


async def test_results_of_deliveries_are_written_before_notes(url: str, times: Times) -> None:
    async with opened(times.store(url)) as store:
        await accept(store, alert(1), alert(1, call="d"), alert(1, call="e"))
        due = (await store.deliveries.due("desk", [], 10)).messages
        keeping = recorder(store, times)
        keeping.call_started("c", "rtsp", "remote")
        said = Statements(store)
        async with store.database.write() as writing:
            await writing.execute(text("SELECT 1"))
            notes = asyncio.ensure_future(keeping.flush())
            await asyncio.sleep(0)
            became = [
                asyncio.ensure_future(result)
                for result in (
                    store.deliveries.delivered(due[0].number),
                    store.deliveries.failed(due[1].number, "status 500", 1.0),
                    store.deliveries.dead(due[2].number, "status 410"),
                )
            ]
            await asyncio.sleep(0)
        await asyncio.gather(notes, *became)
    first = [words for words in said.said if words != "COMMIT"][:4]
    assert first == ["UPDATE deliveries"] * 3 + ["INSERT calls"]


async def test_an_alert_waits_for_a_part_of_the_notes_and_not_for_all(
    url: str, times: Times
) -> None:
    async with opened(times.store(url)) as store:
        keeping = recorder(store, times)
        for n in range(SIZE):
            keeping.call_started(f"c{n}", "rtsp", "remote")
            keeping.window(f"c{n}", score(0.0))
            keeping.verdict(f"c{n}", alert(call=f"c{n}").verdict)
            keeping.call_ended(f"c{n}", "ended")
        said = Statements(store)
        said.meanwhile["INSERT timelines"] = lambda: accept(store, alert(1))
        assert await keeping.flush()
        await asyncio.gather(*said.begun)
        calls = {call["id"]: call for call in await store.calls.latest(2 * SIZE)}
    written = said.transactions()
    assert "INSERT timelines" in written[0]
    assert "INSERT messages" in written[1]
    assert len(written) > 4
    assert len(calls) == SIZE + 1
    assert all(calls[f"c{n}"]["ended"] == "ended" for n in range(SIZE))


@pytest.mark.parametrize("what", ["timelines", "calls"])
async def test_an_alert_waits_for_some_of_what_is_deleted_and_not_for_all(
    url: str, times: Times, what: str
) -> None:
    async with opened(times.store(url)) as store:
        keeping = recorder(store, times)
        for n in range(2 * CALLS if what == "calls" else 1):
            keeping.call_started(f"c{n}", "rtsp", "remote")
            keeping.call_ended(f"c{n}", "ended")
        assert await keeping.flush()
        async with store.database.write() as writing:
            row = "INSERT INTO timelines (call, participant, points, written_at) VALUES "
            many = ", ".join([f"('c0', 'remote', '[]', {times.wall})"] * (2 * ROWS))
            await writing.execute(text(row + many))
        times.wall += (100 if what == "calls" else 8) * DAY
        said = Statements(store)
        said.meanwhile[f"DELETE {what}"] = lambda: accept(store, alert(1, call="other"))
        await store.retention.sweep()
        await asyncio.gather(*said.begun)
        assert await store.calls.timeline("c0") == []
        assert (await store.calls.find("c0") is None) == (what == "calls")
    written = said.transactions()
    at = next(n for n, part in enumerate(written) if f"DELETE {what}" in part)
    assert "INSERT messages" in written[at + 1]
    assert any(f"DELETE {what}" in part for part in written[at + 2 :])


def test_a_batch_in_parts_is_the_same_batch() -> None:
    whole = Batch()
    for n in range(3):
        whole.begun.append(Begun(f"c{n}", "", "rtsp", float(n)))
        whole.points[(f"c{n}", "remote")] = [["voice", float(i)] for i in range(30 * SIZE)]
        whole.verdicts[(f"c{n}", "remote")] = wire.verdict(alert().verdict)
        whole.ended[f"c{n}"] = ("ended", float(n))
    parts = list(whole.parts())
    assert len(parts) > 3
    joined = Batch()
    for part in parts:
        # A call's end is never written before what comes before it.
        assert not part.ended.keys() & {
            call for later in parts_after(parts, part) for call in later
        }
        joined.join(part)
    assert joined == whole
    assert list(Batch().parts()) == []


def parts_after(parts: list[Batch], part: Batch) -> list[set[str]]:
    """The calls of each later part."""
    at = next(n for n, found in enumerate(parts) if found is part)
    return [{call for call, _ in [*p.points, *p.verdicts]} for p in parts[at + 1 :]]
