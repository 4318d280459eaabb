"""Processes that work on one recording each, and what they find out in the recordings' order.

    parent   recordings ──one at a time──► worker 0 ─┐
                        ──one at a time──► worker 1 ─┤ records, as they are made
             in order ◄── held until those before are done

A process, not a thread, for each: decoders and models of several recordings then share nothing,
neither Python's lock nor a crash.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

Record = dict[str, Any]
Progress = Callable[[float, float], None]
"""Hears seconds done and seconds in all; 0 if unknown."""
Listener = Callable[[Path, Progress, Callable[[Record], None]], None]
"""Works on one recording and passes its records on; raises UnusableError."""
_TELL_EVERY = 0.2
"""Seconds from one word of progress to the next."""


class UnusableError(Exception):
    """A recording cannot be worked on; the message names it and says why."""


class Work(Protocol):
    """What is done with recordings; crosses to other processes by pickling."""

    def begin(self) -> Listener:
        """Load what it takes; in each process once."""


@dataclass(frozen=True, slots=True)
class Made:
    """A record of the recording with this place in the list."""

    place: int
    record: Record


@dataclass(frozen=True, slots=True)
class Done:
    """A recording is over."""

    place: int
    problem: str
    """Why it could not be used; empty if it could. Records that came before do not count then."""


Event = Made | Done


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def work_through(
    work: Work,
    recordings: Sequence[Path],
    processes: int,
    progress: Callable[[int, float, float], None],
) -> Generator[Event]:
    """Work on recordings, `processes` at a time; yield what is found out, in their order.

    `progress` hears a recording's place, its seconds done and in all (0 if unknown). A recording
    whose process dies costs only itself. Raises what `begin` raises.
    """
    crew = _Crew(work, recordings, progress)
    try:
        yield from crew.run(min(processes, len(recordings)))
    finally:
        crew.dismiss()


@dataclass(slots=True)
class _Held:
    """What is known of a recording whose turn has not come."""

    records: list[Record] = field(default_factory=list)
    problem: str | None = None
    """None while it is worked on."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a worker sends: of its recording, or `error` if it could not begin."""

    record: Record | None = None
    progress: tuple[float, float] | None = None
    problem: str | None = None
    error: Exception | None = None


class _Crew:
    def __init__(
        self,
        work: Work,
        recordings: Sequence[Path],
        progress: Callable[[int, float, float], None],
    ) -> None:
        self._work = work
        self._recordings = recordings
        self._progress = progress
        self._waiting = deque(range(len(recordings)))
        self._held: dict[int, _Held] = {}
        self._workers: dict[Connection, BaseProcess] = {}
        self._places: dict[Connection, int] = {}
        """Which recording each worker has."""

    def run(self, processes: int) -> Iterator[Event]:
        for _ in range(processes):
            self._hire()
        for place in range(len(self._recordings)):
            held = self._held.setdefault(place, _Held())
            while held.problem is None:
                yield from (Made(place, record) for record in held.records)
                held.records.clear()
                self._hear()
            yield from (Made(place, record) for record in held.records)
            del self._held[place]
            yield Done(place, held.problem)

    def dismiss(self) -> None:
        for connection, process in self._workers.items():
            connection.close()
            process.terminate()
        for process in self._workers.values():
            process.join()
        self._workers.clear()

    def _hire(self) -> None:
        """Begin a process, if there is a recording for it."""
        if not self._waiting:
            return
        # Not forked: this process may have threads, whose locks a copy would find held for ever.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        process.start()
        # Only the worker holds its end now, so that its death is seen here.
        theirs.close()
        self._workers[ours] = process
        self._hand_over(ours)

    def _hand_over(self, connection: Connection) -> None:
        """Give a worker its next recording, or nothing more."""
        self._places.pop(connection, None)
        if not self._waiting:
            self._let_go(connection)
            return
        place = self._places[connection] = self._waiting.popleft()
        self._held.setdefault(place, _Held())
        # A worker that is dead is heard of when it is read from.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send(self._recordings[place])

    def _let_go(self, connection: Connection) -> int | None:
        """End what a worker has no more use for; return its exit status."""
        process = self._workers.pop(connection)
        connection.close()
        process.join()
        return process.exitcode

    def _hear(self) -> None:
        """Take in what workers say; waits until one says something."""
        for connection in wait(list(self._workers)):
            assert isinstance(connection, Connection)
            try:
                said = connection.recv()
            except (EOFError, OSError):
                self._bury(connection)
                continue
            self._take(connection, said)

    def _take(self, connection: Connection, said: _Said) -> None:
        if said.error is not None:
            raise said.error
        place = self._places[connection]
        if said.progress is not None:
            self._progress(place, *said.progress)
        if said.record is not None:
            self._held[place].records.append(said.record)
        if said.problem is not None:
            self._held[place].problem = said.problem
            self._hand_over(connection)

    def _bury(self, connection: Connection) -> None:
        """A worker died: so does its recording, and another one takes its place."""
        place = self._places.pop(connection)
        status = self._let_go(connection)
        how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        name = self._recordings[place].name
        self._held[place].problem = f"{name}: the process that worked on it died ({how})"
        self._hire()


def _serve(connection: Connection, work: Work) -> None:
    """A worker's life: it ends when nobody has a recording for it."""
    # Who interrupts the command interrupts the parent, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock = threading.Lock()

    def say(said: _Said) -> None:
        # Decoding, which tells its progress, has a thread of its own.
        with lock:
            connection.send(said)

    try:
        listener = work.begin()
    except Exception as error:  # noqa: BLE001
        # Whatever it is, the command says it and ends.
        say(_Said(error=error))
        return
    # Whoever gave the recordings is gone when nothing can be read or sent.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _listen(listener, connection.recv(), say)


def _listen(listener: Listener, recording: Path, say: Callable[[_Said], None]) -> None:
    told = 0.0

    def progress(done: float, total: float) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY:
            told = time.monotonic()
            say(_Said(progress=(done, total)))

    try:
        listener(recording, progress, lambda record: say(_Said(record=record)))
    except UnusableError as error:
        say(_Said(problem=str(error)))
    else:
        say(_Said(problem=""))
