"""Processes on this machine: started, spoken to, and what they use by the kernel's account."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class BenchError(Exception):
    """The measurement cannot go on; the message says why."""


class Child:
    """A Python module as a process, its lines of standard output read in the background."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, **env: str) -> None:
        """Standard error goes to the file `log`."""
        self.log = log
        self._module = module
        self._lines: queue.Queue[str | None] = queue.Queue()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def line(self, timeout: float) -> str:
        """The next line; raises BenchError if it does not come or the process ends."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise BenchError(f"{self._module} says nothing") from None
        if line is None:
            said = self.log.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self._module} has ended: {said}")
        return line

    def tell(self, record: Mapping[str, Any]) -> None:
        """Write a line of JSON to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(record) + "\n")
        self._process.stdin.flush()

    def listening(self) -> str:
        """Wait for `listening on URL` and return the URL."""
        deadline = time.monotonic() + _START_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if found := re.match(r"listening on (\S+)", self.line(left)):
                return found[1]
        raise BenchError(f"{self._module} does not listen")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def cpu_by_thread(pid: int) -> dict[str, float]:
    """CPU seconds of a process so far by the name of its threads; threads that ended are left out.

    proc(5), /proc/PID/task/TID/stat: user and system time.
    """
    spent: dict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        spent[re.sub(r"[-_]?\d+$", "", name)] += (int(fields[11]) + int(fields[12])) / _TICKS
    return dict(spent)


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far, threads that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_megabytes(pid: int) -> float:
    """Resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
    return int(found[1]) / 1000 if found else 0.0
