"""Recordings are shared out among processes; what comes back is as if one had done it all."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.offline.batch.crew import (
    Done,
    Event,
    Listener,
    Made,
    Progress,
    Record,
    UnusableError,
    Work,
    work_through,
)


@dataclass(frozen=True)
class Counting:
    """Not real work: a recording's name says what becomes of it."""

    gate: Path
    """A file that slow recordings wait for."""

    def begin(self) -> Listener:
        def listen(path: Path, progress: Progress, emit: Callable[[Record], None]) -> None:
            emit({"name": path.name, "process": os.getpid()})
            progress(1.0, 2.0)
            if path.name.startswith("slow"):
                while not self.gate.exists():
                    signal.sigtimedwait([], 0.01)
            if path.name.startswith("opens"):
                self.gate.touch()
            if path.name.startswith("killed"):
                os.kill(os.getpid(), signal.SIGKILL)
            if path.name.startswith("ended"):
                os._exit(7)
            if path.name.startswith("unusable"):
                raise UnusableError(f"{path.name}: is unusable")
            emit({"name": path.name, "last": True})

        return listen


@dataclass(frozen=True)
class Failing:
    def begin(self) -> Listener:
        raise FileNotFoundError("models: no such folder")


def through(work: Work, names: list[str], processes: int) -> list[Event]:
    paths = [Path(name) for name in names]
    return list(work_through(work, paths, processes, lambda *_: None))


def without_process(events: list[Event]) -> list[Event]:
    return [
        Made(e.place, {k: v for k, v in e.record.items() if k != "process"})
        if isinstance(e, Made)
        else e
        for e in events
    ]


def test_order_is_that_of_the_list_however_long_each_takes(tmp_path: Path) -> None:
    # The first cannot end before the last has begun, which another process has to do.
    names = ["slow", "b", "c", "opens"]
    events = through(Counting(tmp_path / "gate"), names, 2)
    assert [e.place for e in events] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    made = [e.record["name"] for e in events if isinstance(e, Made)]
    assert made == [name for name in names for _ in range(2)]
    assert (
        len({e.record["process"] for e in events if isinstance(e, Made) and "process" in e.record})
        == 2
    )
    alone = through(Counting(tmp_path / "gate"), names, 1)
    assert without_process(alone) == without_process(events)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("killed", "killed: the process that worked on it died (signal 9)"),
        ("ended", "ended: the process that worked on it died (status 7)"),
        ("unusable", "unusable: is unusable"),
    ],
)
def test_what_breaks_costs_only_itself(tmp_path: Path, name: str, why: str, processes: int) -> None:
    events = through(Counting(tmp_path), ["a", name, name, "b", name], processes)
    problems = [e.problem for e in events if isinstance(e, Done)]
    assert problems == ["", why, why, "", why]
    whole = {e.place for e in events if isinstance(e, Made) and "last" in e.record}
    assert whole == {0, 3}


def test_records_come_as_they_are_made(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    events = work_through(Counting(gate), [Path("slow")], 4, lambda *_: None)
    first = next(events)
    assert isinstance(first, Made)
    assert not gate.exists()
    gate.touch()
    assert isinstance(list(events)[-1], Done)


def test_who_stops_listening_leaves_no_process(tmp_path: Path) -> None:
    events = work_through(Counting(tmp_path / "gate"), [Path("slow")] * 2, 2, lambda *_: None)
    first = next(events)
    assert isinstance(first, Made)
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(first.record["process"], 0)


def test_progress_is_heard_of_each(tmp_path: Path) -> None:
    heard = []
    paths = [Path("a"), Path("b"), Path("c")]
    list(work_through(Counting(tmp_path), paths, 2, lambda *told: heard.append(told)))
    assert sorted(heard) == [(0, 1.0, 2.0), (1, 1.0, 2.0), (2, 1.0, 2.0)]


def test_what_cannot_begin_ends_all_of_it() -> None:
    with pytest.raises(FileNotFoundError, match="models: no such folder"):
        through(Failing(), ["a", "b"], 2)


def test_of_nothing_comes_nothing(tmp_path: Path) -> None:
    assert through(Counting(tmp_path), [], 2) == []
