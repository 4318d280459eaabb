"""Participants of one call who come, go and come back."""

import asyncio

import pytest

from monitor.ingest.connection.room import MOST, Room
from monitor.types import AudioFrame, Gap, LostReason, Tracks
from monitor.types.protocols import Intake, SourceError
from tests.fakes import noise
from tests.flow.webrtc import MemoryIntake


class Guest:
    """Is heard for 100 ms from `at` on, and stays until told to leave."""

    def __init__(self, name: str, at: float = 0.0) -> None:
        self.name, self.at = name, at
        self.leaving = asyncio.Event()
        self.reason: str | SourceError = "ended"

    def leave(self) -> None:
        self.leaving.set()

    async def run(self, intake: Intake) -> str:
        await intake.put(Tracks(self.name, audio=True, video=False))
        await intake.put(AudioFrame(self.name, self.at, noise(0, 0.1, 0.1).samples))
        await self.leaving.wait()
        if isinstance(self.reason, SourceError):
            raise self.reason
        return self.reason


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_call_lasts_until_the_last_has_left() -> None:
    intake, alice, bob = MemoryIntake(), Guest("alice"), Guest("bob", 2.0)
    room = Room("whip", "alice", alice)
    running = asyncio.create_task(room.run(intake))
    await turns()
    assert not room.has_place("alice")
    assert room.has_place("bob")
    room.join("bob", bob)
    await turns()
    assert (len(room), room.holds(bob)) == (2, True)
    assert not room.part(alice)
    alice.reason = "idle"
    alice.leave()
    await turns()
    assert not room.holds(alice)
    assert intake.media[-1] == Tracks("alice", audio=False, video=False)
    assert not running.done()
    assert room.part(bob)
    bob.leave()
    assert await running == "ended"
    assert not room.has_place("carol")
    assert [frame.participant for frame in intake.audio] == ["alice", "bob"]


async def test_what_lies_between_leaving_and_coming_back_is_lost() -> None:
    intake, alice, bob = MemoryIntake(), Guest("alice"), Guest("bob")
    room = Room("whip", "alice", alice)
    running = asyncio.create_task(room.run(intake))
    room.join("bob", bob)
    await turns()
    alice.leave()
    await turns()
    again = Guest("alice", 5.0)
    assert room.has_place("alice")
    room.join("alice", again)
    await turns()
    (gap,) = (media for media in intake.media if isinstance(media, Gap))
    assert (gap.participant, gap.reason) == ("alice", LostReason.RECONNECT)
    assert gap.span.start == pytest.approx(0.1)
    assert gap.span.end == 5.0
    for guest in (again, bob):
        guest.leave()
    await running


async def test_one_that_fails_does_not_end_the_call_unless_it_is_alone() -> None:
    intake, alice, bob = MemoryIntake(), Guest("alice"), Guest("bob")
    room = Room("whip", "alice", alice)
    running = asyncio.create_task(room.run(intake))
    room.join("bob", bob)
    await turns()
    alice.reason = bob.reason = SourceError("gone", "it is gone")
    alice.leave()
    await turns()
    assert len(room) == 1
    bob.leave()
    with pytest.raises(SourceError, match="gone"):
        await running


async def test_stopping_stops_everybody_and_places_are_limited() -> None:
    intake, guests = MemoryIntake(), [Guest(str(n)) for n in range(MOST)]
    room = Room("whip", "0", guests[0])
    running = asyncio.create_task(room.run(intake))
    for guest in guests[1:]:
        assert room.has_place(guest.name)
        room.join(guest.name, guest)
    assert not room.has_place("one more")
    await turns()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert not room.has_place("0")
