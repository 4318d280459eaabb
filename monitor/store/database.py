"""The connection to SQLite or PostgreSQL: transactions, migrations, and what fails."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.schema.messages import ROW, StoreError
from monitor.store.turns import Turns

_log = log.get(__name__)
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_303_014_812
"""Any number, the same for all who migrate one PostgreSQL database."""
_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 15.0
_WRITERS, _READERS, _FIRST = 6, 5, 4
"""Connections to PostgreSQL, each made when it is needed; the last are those of alerts."""


class Database:
    """Transactions; every failure is a StoreError and shows in `degraded` until a write succeeds.

    SQLite has one writer, whose transactions take the lock when they begin: one that read first
    and wrote later could not wait for another process's lock.
    """

    def __init__(self, url: str, metrics: Metrics, busy_timeout: float = 5.0) -> None:
        """`url` is `sqlite:///PATH` or `postgresql://…`. Raises StoreError for any other."""
        self.degraded: str | None = None
        """Why the last write failed, in one word; None when it did not."""
        self._metrics = metrics
        metrics.store_degraded.set_function(lambda: float(self.degraded is not None))
        self._turns = Turns()
        self._file: Path | None = None
        self._lock: TextIO | None = None
        try:
            parsed = make_url(url)
            kind = parsed.get_backend_name()
            if kind == "sqlite":
                # Before SQLite does it, so that nobody else on the machine may read it.
                self._file = Path(parsed.database or "")
                self._file.touch(mode=0o600)
                parsed = parsed.set(drivername="sqlite+aiosqlite")
                self._writer = create_async_engine(
                    parsed, pool_size=1, max_overflow=0, pool_timeout=30
                )
                self._reader = create_async_engine(parsed, pool_size=2, max_overflow=0)
                self._first = create_async_engine(parsed, pool_size=1, max_overflow=0)
                _prepare(self._writer, "BEGIN IMMEDIATE", busy_timeout, "OFF")
                _prepare(self._reader, "BEGIN", busy_timeout, "ON")
                _prepare(self._first, "BEGIN", busy_timeout, "ON")
            elif kind == "postgresql":
                parsed = parsed.set(drivername="postgresql+asyncpg")
                self._writer, self._reader, self._first = (
                    _server(parsed, size) for size in (_WRITERS, _READERS, _FIRST)
                )
            else:
                raise StoreError("other", f"{kind}: not a database this service knows")
        except (ArgumentError, ValueError):
            # A port that is no number may be half of a password.
            wrong = "not a database URL; in user and password, percent-encode @ : / ? #"
            raise StoreError("other", wrong) from None
        except ImportError as error:
            raise StoreError("other", "PostgreSQL needs the extra `postgres`") from error
        except OSError as error:
            raise StoreError("other", str(error.strerror)) from error
        self.kind = kind

    async def open(self) -> None:
        """Bring the tables up to date; raises StoreError."""
        if self._file is not None:
            self._lock = _locked(Path(f"{self._file}.lock"))
        await self._connect()
        # Not `write`: a service that does not start is not degraded.
        async with self._failing(), self._writer.begin() as connection:
            if self.kind == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:n)")
                await connection.execute(lock, {"n": _MIGRATION_LOCK})
            try:
                await connection.run_sync(_migrate)
            except CommandError as error:
                newer = f"made by a newer version of this service: {error}"
                raise StoreError("other", newer) from error
            # One that may only be read shows it at a write, and tables may be up to date already.
            await connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    async def _connect(self) -> None:
        """Raise StoreError if there is no connection to be had."""
        try:
            async with self._failing(), self._writer.connect():
                pass
        except (TypeError, ValueError) as error:
            # What follows the `?` of a URL only the driver can judge.
            raise StoreError("other", _said(error)) from None

    async def close(self) -> None:
        """Let the connections go."""
        await self._writer.dispose()
        await self._reader.dispose()
        await self._first.dispose()
        if self._lock is not None:
            self._lock.close()

    @asynccontextmanager
    async def write(self, first: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block; raises StoreError.

        `first`: before all that wait for their turn and are not.
        """
        alone = self.kind == "sqlite"
        turn = self._turns.take(first) if alone else nullcontext()
        engine = self._first if first and not alone else self._writer
        try:
            async with turn, self._failing(), engine.begin() as connection:
                yield connection
        except StoreError as error:
            self._metrics.store_failures.labels(error.reason).inc()
            if error.reason == ROW:
                raise
            if error.reason != self.degraded:
                _log.error("store degraded", reason=error.reason, detail=str(error))
            self.degraded = error.reason
            raise
        if self.degraded is not None:
            _log.warning("store works again", reason=self.degraded)
            self.degraded = None

    def read(self, first: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads; raises StoreError.

        `first`: on a connection kept for what delivers alerts, which no other reader can hold.
        """
        return self._read(self._first if first else self._reader)

    @asynccontextmanager
    async def _read(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with self._failing(), engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _failing(self) -> AsyncIterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, TimeoutError, sqlite3.Error) as error:
            # `orig` says what happened; SQLAlchemy's own text would repeat the row.
            cause = getattr(error, "orig", None) or error
            raise StoreError(_reason(error), _said(cause)) from None

    def insert(self, table: Table) -> Any:
        """An INSERT with ON CONFLICT, which the two databases spell alike but SQL does not know."""
        return (sqlite if self.kind == "sqlite" else postgresql).insert(table)


def _locked(path: Path) -> TextIO:
    """Hold a lock: a second service would take the first one's calls for interrupted."""
    try:
        # Nobody else may read it, and so hold it; one of an earlier version may be open to all.
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "w")
        os.fchmod(file.fileno(), 0o600)
    except OSError as error:
        raise StoreError("other", f"{path.name}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StoreError("locked", "another service uses it") from error
    return file


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200].removesuffix(":")


def _server(url: URL, size: int) -> AsyncEngine:
    """Connections to PostgreSQL, at most `size`."""
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _COMMAND_SECONDS},
    )


def _prepare(engine: AsyncEngine, begin: str, busy_timeout: float, query_only: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        # The driver must not begin transactions of its own.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {round(busy_timeout * 1000)}",
            "journal_mode = WAL",
            # An accepted alert outlives a power cut.
            "synchronous = FULL",
            # What retention deletes is overwritten, not only forgotten.
            "secure_delete = ON",
            f"query_only = {query_only}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def beginning(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _migrate(connection: Connection) -> None:
    config = Config()
    # ConfigParser reads `%` as the begin of a variable.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _reason(error: Exception) -> str:
    said = str(getattr(error, "orig", None) or error).lower()
    own = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    # What the drivers say of a value before they send it: sqlite3, and asyncpg.
    unfit = "binding parameter" in said or "invalid input for query argument" in said
    if own or unfit or isinstance(error, IntegrityError | DataError):
        return ROW
    if "locked" in said or "busy" in said or isinstance(error, PoolTimeout):
        return "locked"
    # What SQLite and PostgreSQL say, and an I/O error: a disk that takes no more.
    if "full" in said or "no space" in said or "disk i/o" in said:
        return "full"
    lost = getattr(error, "connection_invalidated", False)
    unreachable = ("connect", "connection", "unable to open", "shutting down", "starting up")
    if (
        lost
        or isinstance(error, OSError | asyncio.TimeoutError)
        or any(words in said for words in unreachable)
    ):
        return "unreachable"
    return "other"
