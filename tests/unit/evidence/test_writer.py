"""What the disk refuses is tried again, and nothing waits for it."""

import errno
import threading
import time

import pytest

from monitor.evidence.bundle import Draft
from monitor.evidence.bundle_store import Kept
from monitor.evidence.writer import CAPACITY, Condition, Outcome, Writer
from tests.unit.evidence.drafts import draft


def wait_until(look: object, what: str) -> None:
    assert callable(look)
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


class Disk:
    """Keeps drafts while it has room."""

    def __init__(self, room: bool = True) -> None:
        self.room = room
        self.kept: list[str] = []
        self.attempts = 0
        self.outcomes: list[tuple[Outcome, bool]] = []
        self.gate = threading.Event()
        self.gate.set()

    def keep(self, made: Draft) -> Kept:
        assert self.gate.wait(5)
        self.attempts += 1
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.kept.append(made.id)
        return Kept(made.id, len(self.kept), made.created_at, "", "", "", "", 1, "", "", False)

    def told(self, outcome: Outcome, degraded: bool) -> None:
        self.outcomes.append((outcome, degraded))

    def writer(self, retry: float = 15.0, give_up: float = 1800.0) -> Writer:
        return Writer(self.keep, self.told, retry, give_up)


def test_a_full_disk_is_reported_and_what_waits_is_kept_once_there_is_room() -> None:
    disk = Disk(room=False)
    writer = disk.writer(retry=0.02)
    writer.start()
    for name in ("a", "b"):
        writer.put(lambda name=name: draft(name))  # type: ignore[misc]
    wait_until(lambda: disk.attempts >= 3, "a second attempt")
    assert writer.condition == Condition(True, "No space left on device")
    disk.room = True
    wait_until(lambda: disk.kept == ["a", "b"], "both bundles")
    writer.close()
    assert writer.condition == Condition(False, "")
    assert disk.outcomes[0] == (Outcome.FAILED, True)
    assert disk.outcomes[-1] == (Outcome.WRITTEN, False)


def test_what_waits_for_too_long_is_given_up_and_counted() -> None:
    disk = Disk(room=False)
    writer = disk.writer(retry=0.01, give_up=0.05)
    writer.start()
    writer.put(lambda: draft("a"))
    wait_until(lambda: (Outcome.DROPPED, True) in disk.outcomes, "giving up")
    writer.close()
    assert disk.kept == []


def test_the_queue_is_bounded_and_the_newest_stay() -> None:
    disk = Disk()
    disk.gate.clear()
    writer = disk.writer()
    writer.start()
    for number in range(CAPACITY + 5):
        writer.put(lambda number=number: draft(str(number)))  # type: ignore[misc]
    disk.gate.set()
    writer.close()
    assert len([o for o, _ in disk.outcomes if o is Outcome.DROPPED]) == 5
    assert disk.kept[-1] == str(CAPACITY + 4)


@pytest.mark.alone
def test_handing_over_never_waits_for_the_disk() -> None:
    disk = Disk()
    disk.gate.clear()
    writer = disk.writer()
    writer.start()
    began = time.monotonic()
    for _ in range(CAPACITY):
        writer.put(lambda: draft("a"))
    assert time.monotonic() - began < 0.5
    disk.gate.set()
    writer.close()


def test_a_bundle_that_cannot_be_made_does_not_cost_the_next() -> None:
    disk = Disk()
    writer = disk.writer()

    def broken() -> Draft:
        raise RuntimeError("broken on purpose")

    writer.put(broken)
    writer.put(lambda: draft("b"))
    writer.start()
    writer.close()
    assert disk.kept == ["b"]
    assert disk.outcomes == [(Outcome.DROPPED, True), (Outcome.WRITTEN, False)]


def test_a_service_that_stops_tries_once_more_and_counts_what_it_loses() -> None:
    disk = Disk(room=False)
    writer = disk.writer(retry=60.0)
    writer.start()
    writer.put(lambda: draft("a"))
    writer.put(lambda: draft("b"))
    wait_until(lambda: disk.attempts == 1, "the first attempt")
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    assert [o for o, _ in disk.outcomes].count(Outcome.DROPPED) == 2


@pytest.mark.parametrize("name", ["a", "b"])
def test_closing_what_never_began_is_harmless(name: str) -> None:
    disk = Disk()
    writer = disk.writer()
    writer.put(lambda: draft(name))
    writer.close()
    assert disk.kept == []
