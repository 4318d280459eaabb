"""Debian's PostgreSQL, on a free port of loopback with a data folder of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.e2e.rig.process import Process, Started, free_port

USER = "postgres"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed; see tests/e2e/packages.txt")
    return found[-1].parent


class Postgres(Started):
    """A server whose data nobody keeps; it refuses to run as root, so it does not."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        """`host` other than loopback: its neighbours (/24) may come too."""
        self.host = host
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port(host)
        self._log = folder / "postgres.log"
        # Not below pytest's folders: those are root's alone.
        self._data = Path(tempfile.mkdtemp(prefix="monitor-postgres-"))
        self._process: Process | None = None

    def url(self, database: str = "postgres") -> str:
        """How the service names a database of this server."""
        return f"postgresql://{USER}@{self.host}:{self.port}/{database}"

    def start(self) -> Self:
        """Make the data folder and run the server."""
        entry = pwd.getpwnam(USER)
        os.chown(self._data, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        if self.host != "127.0.0.1":
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.host}/24 trust\n")
        self._process = Process(
            [
                *self._as_user(), str(_binaries() / "postgres"), "-D", str(self._data),
                "-h", self.host, "-p", str(self.port), "-k", str(self._data), "-F",
            ],
            self._log,
        )  # fmt: skip
        self._process.start()
        self._process.wait_ready(self._ready, 60)
        return self

    def create(self, database: str) -> str:
        """Make an empty database; return its URL."""
        self._run("createdb", "-h", self.host, "-p", str(self.port), "-U", USER, database)
        return self.url(database)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            self._process.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def _ready(self) -> bool:
        command = [str(_binaries() / "pg_isready"), "-h", self.host, "-p", str(self.port)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, tool: str, *arguments: str) -> None:
        command = [*self._as_user(), str(_binaries() / tool), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._data)

    @staticmethod
    def _as_user() -> list[str]:
        # setpriv becomes the user without a session of its own, so that signals reach the server.
        user = f"--reuid={USER}", f"--regid={USER}", "--clear-groups"
        return ["setpriv", *user] if os.geteuid() == 0 else []
