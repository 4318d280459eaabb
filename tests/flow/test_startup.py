"""The real command where it cannot begin: one line, and no traceback."""

import asyncio
import socket
import sqlite3
from pathlib import Path

import pytest

from monitor.metrics.sink import Metrics
from monitor.store.store import Store
from tests.refusal import PASSWORD, refused


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"postgresql://desk:{PASSWORD}@127.0.0.1:9/calls", "ConnectionRefusedError"),
        # an @ that is not percent-encoded: what follows it is taken for host and port
        (f"postgresql://desk:begin@x:{PASSWORD}@127.0.0.1:9/calls", "percent-encode"),
        (f"postgresql://desk:{PASSWORD}@127.0.0.1:9/calls?sslmode=require", "sslmode"),
        (f"mysql://desk:{PASSWORD}@127.0.0.1:9/calls", "mysql"),
        ("sqlite:////no/such/folder/monitor.db", "No such file or directory"),
    ],
)
def test_a_url_that_leads_nowhere(tmp_path: Path, url: str, why: str) -> None:
    # Only a server that is away may come back.
    line = refused(tmp_path / "var", url, status=75 if why == "ConnectionRefusedError" else 2)
    assert line.startswith("error: store.url: ")
    assert why in line


def test_a_port_that_somebody_else_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(tmp_path / "var", port=port)
    assert line == (
        f"error: server.host, server.port: 127.0.0.1:{port}: Address already in use; "
        "--host and --port choose another address"
    )


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "var" / "monitor.db"
    file.parent.mkdir()
    file.write_text("neither a database nor empty\n" * 100)
    said = refused(file.parent)
    assert said == f"error: state_dir: {file}: DatabaseError: file is not a database"


def made(folder: Path) -> Path:
    """A database of this version."""

    async def make() -> None:
        store = Store(f"sqlite:///{folder / 'monitor.db'}", Metrics())
        await store.open()
        await store.close()

    folder.mkdir()
    asyncio.run(make())
    return folder / "monitor.db"


def test_a_database_whose_pages_are_harmed(tmp_path: Path) -> None:
    file = made(tmp_path / "var")
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    said = refused(file.parent)
    assert said.startswith(f"error: state_dir: {file}: ")
    assert "malformed" in said


def test_a_database_that_is_newer_than_the_service(tmp_path: Path) -> None:
    file = made(tmp_path / "var")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    said = refused(file.parent)
    assert said.startswith(f"error: state_dir: {file}: made by a newer version of this service")
    assert "9999" in said


@pytest.mark.parametrize("what", ["file", "folder", "new file"])
def test_what_may_not_be_written(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "var"
    if what == "new file":
        folder.mkdir()
    else:
        made(folder)
    if what == "file":
        (folder / "monitor.db").chmod(0o400)
    else:
        folder.chmod(0o500)
    try:
        said = refused(folder, as_anybody=True)
    finally:
        folder.chmod(0o700)
    assert said.startswith(f"error: state_dir: {folder / 'monitor.db'}: ")
    assert "readonly" in said or "ermission denied" in said
