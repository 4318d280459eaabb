"""A program that the rig started, and the waiting around it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on right now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


T = TypeVar("T")


PATIENCE = 6.0
"""By how much longer than named a state is waited for: on a busy machine all takes longer, and what
never comes is noticed a little later."""


def wait_until(look: Callable[[], T], timeout: float, what: str, every: float = 0.1) -> T:
    """The first true answer of `look`; raises TimeoutError naming what never came.

    `timeout` is in seconds of an idle machine.
    """
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {timeout * PATIENCE:g} s")
        time.sleep(every)


class Started:
    """Something that runs for the length of a `with` block."""

    def start(self) -> Self:
        """Run it."""
        raise NotImplementedError

    def stop(self) -> object:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Process(Started):
    """A child in a process group of its own; stopped by its own id, never by name."""

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command)
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The child's id; raises RuntimeError before start."""
        if self._child is None:
            raise RuntimeError(f"{self.command[0]} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.poll() if self._child else None

    def said(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> Self:
        """Run it; what it writes is added to the log file."""
        if self.running:
            raise RuntimeError(f"{self.command[0]} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        return self

    def wait_ready(self, ready: Callable[[], object], timeout: float = 30) -> None:
        """Wait for `ready`; raises RuntimeError with the last words if it ends before."""

        def look() -> bool:
            if not self.running:
                raise RuntimeError(
                    f"{self.command[0]} ended with {self.returncode}:\n{self.said()[-2000:]}"
                )
            return bool(ready())

        wait_until(look, timeout, f"{self.command[0]} ready")

    def freeze(self) -> None:
        """Stop its clock (SIGSTOP): it keeps its connections and says nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after freeze."""
        os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it and its children at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self, timeout: float = 10) -> int:
        """Ask it to end (SIGTERM), insist after the timeout; its exit status."""
        return self._end(signal.SIGTERM, timeout)

    def _end(self, sig: signal.Signals, timeout: float = 10) -> int:
        if self._child is None:
            return 0
        group = self._child.pid
        if self._child.poll() is None:
            os.killpg(group, sig)
            os.killpg(group, signal.SIGCONT)
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(group, signal.SIGKILL)
        with suppress(ProcessLookupError):  # children that outlive their parent
            os.killpg(group, signal.SIGKILL)
        return self._child.wait(timeout)

    def __enter__(self) -> Self:
        return self if self.running else self.start()
