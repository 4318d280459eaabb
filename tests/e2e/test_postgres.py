"""The store on a real PostgreSQL: the cases that tests/flow runs on SQLite, and what is its own."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import QueuePool, text

from monitor.metrics.sink import Metrics
from monitor.schema.messages import StoreError
from monitor.store.store import Store
from tests.alerts import alert
from tests.clustercases import *  # noqa: F403
from tests.e2e.rig.postgres import Postgres
from tests.refusal import PASSWORD, refused
from tests.storecases import *  # noqa: F403
from tests.storecases import accept, opened

_NUMBERS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def url(server: Postgres) -> str:
    return server.create(f"monitor{next(_NUMBERS)}")


async def test_a_server_that_dies_degrades_the_store(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Postgres(tmp_path_factory.mktemp("dying")) as server:
        store = Store(server.create("dying"), Metrics())
        await store.open()
        await accept(store, alert(1))
        server.kill()
        with pytest.raises(StoreError):
            await accept(store, alert(2))
        assert store.degraded == "unreachable"
        await store.close()


async def test_writers_cannot_hold_up_an_alert(url: str) -> None:
    store = Store(url, Metrics())
    async with opened(store), AsyncExitStack() as held:
        pool = store.database._writer.sync_engine.pool
        assert isinstance(pool, QueuePool)
        for _ in range(pool.size()):
            await held.enter_async_context(store.database.write())
        await accept(store, alert(1))
        (message,) = (await store.deliveries.due("desk", [], 10)).messages
        await store.deliveries.delivered(message.number)


async def test_a_server_that_is_not_there_is_named(server: Postgres) -> None:
    store = Store("postgresql://nobody@127.0.0.1:9/none", Metrics())
    with pytest.raises(StoreError, match="unreachable"):
        await store.open()
    await store.close()


def test_the_service_does_not_start_on_a_database_that_is_not_there(
    server: Postgres, tmp_path: Path
) -> None:
    url = server.url("nowhere").replace("@", f":{PASSWORD}@")
    said = refused(tmp_path / "var", url)
    assert said == 'error: store.url: Error: database "nowhere" does not exist'


async def test_the_service_does_not_start_on_a_newer_database(
    server: Postgres, tmp_path: Path
) -> None:
    url = server.create("newer")
    store = Store(url, Metrics())
    await store.open()
    async with store.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    said = refused(tmp_path / "var", url)
    assert said.startswith("error: store.url: made by a newer version of this service")
