"""Several participants of one call, each with a source of its own, who come and go.

POST /whip?call=A&participant=alice ── WebRtcSource ─┐
POST /whip?call=A&participant=bob ──── WebRtcSource ─┴─ Room ──► one call
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from monitor.ingest.connection.bridge import Bridge
from monitor.runtime import failures, log
from monitor.runtime.tasks import awaited, ended
from monitor.types import Tracks
from monitor.types.protocols import Intake, SourceError

_log = log.get(__name__)

MOST = 16
"""Participants at once."""


class Member(Protocol):
    """The source of one participant."""

    async def run(self, intake: Intake) -> str:
        """Feed the intake until the participant leaves; return why in one word."""


@dataclass(slots=True)
class _Seat:
    """One participant of the call, there or gone."""

    bridge: Bridge = field(default_factory=Bridge)
    """What lies between leaving and coming back is lost."""
    member: Member | None = None
    leaving: bool = False
    """Whether the member was asked to go, and has not gone yet."""
    task: "asyncio.Task[str] | None" = None


class Room:
    """A call's source; it ends when the last participant has left."""

    live = True

    def __init__(self, ingest: str, participant: str, member: Member) -> None:
        """`member` is the source of the first participant."""
        self.ingest = ingest
        self.over = False
        """Whether nobody can join any more."""
        self._seats = {participant: _Seat(member=member)}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Participants who are there."""
        return sum(seat.member is not None for seat in self._seats.values())

    def holds(self, member: Member) -> bool:
        """Whether this source's participant is there."""
        return any(seat.member is member for seat in self._seats.values())

    def has_place(self, participant: str) -> bool:
        """Whether somebody of this name may join: nobody of the same name is there."""
        seat = self._seats.get(participant)
        taken = seat is not None and seat.member is not None
        return not self.over and not taken and len(self) < MOST

    def join(self, participant: str, member: Member) -> None:
        """Take a participant in who is new, or comes back; only if there is a place."""
        seat = self._seats.setdefault(participant, _Seat())
        seat.member, seat.leaving = member, False
        self._changed.set()

    def part(self, member: Member) -> bool:
        """Note that a source was told to end; return whether nobody stays in the room."""
        for seat in self._seats.values():
            if seat.member is member:
                seat.leaving = True
        return all(seat.member is None or seat.leaving for seat in self._seats.values())

    async def run(self, intake: Intake) -> str:
        """Feed the intake until the last participant has left; return why that one did."""
        reason = "ended"
        try:
            while len(self):
                for seat in self._seats.values():
                    if seat.member is not None and seat.task is None:
                        work = seat.member.run(seat.bridge.over(intake))
                        seat.task = awaited("participant", work)
                self._changed.clear()
                changed = awaited("room", self._changed.wait())
                tasks = [seat.task for seat in self._seats.values() if seat.task is not None]
                try:
                    await asyncio.wait({changed, *tasks}, return_when="FIRST_COMPLETED")
                finally:
                    changed.cancel()
                for participant, seat in self._seats.items():
                    if seat.task is not None and seat.task.done():
                        reason = await self._leave(participant, seat)
            self.over = True
            return reason
        finally:
            self.over = True
            await ended(*(seat.task for seat in self._seats.values() if seat.task is not None))

    async def _leave(self, participant: str, seat: _Seat) -> str:
        """Let a participant go whose source has ended; raises what ended it if nobody stays."""
        assert seat.task is not None
        task, seat.task, seat.member = seat.task, None, None
        try:
            reason = task.result()
        except SourceError as error:
            if not len(self):
                raise
            reason = error.reason
        except Exception as error:
            if not len(self):
                raise
            # The others are heard on; who is not hears it from a connection that ends.
            failures.heard("participant", error)
            reason = "fault"
        if len(self):
            _log.info("participant left", reason=reason, others=len(self))
            await seat.bridge.put(Tracks(participant, audio=False, video=False))
        return reason
