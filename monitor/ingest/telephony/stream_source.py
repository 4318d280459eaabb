"""A call forked to us by a platform: what it says goes in, its parties come out."""

import asyncio
import time
from collections.abc import Callable, Container

from monitor.ingest.telephony.dialect import (
    Chunk,
    Ended,
    Left,
    Media,
    Message,
    Packet,
    Paused,
    Picture,
    Resumed,
)
from monitor.ingest.telephony.participant import Looking, Person
from monitor.types import Gap, LostReason, Span
from monitor.types.protocols import Intake

_PAUSE_TICK = 0.5
"""Seconds after which a lasting pause is booked again, before it would count as idle."""


class Everybody:
    """Holds every name: in a meeting all are monitored."""

    def __contains__(self, name: object) -> bool:
        """Whether somebody of this name is monitored."""
        return True


class TelephonySource:
    """A call whose messages somebody else receives and feeds in."""

    live = True

    def __init__(
        self,
        ingest: str,
        participants: tuple[str, ...],
        others: Container[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        looking: Looking | None = None,
    ) -> None:
        """Of the stream's parties, only `participants` are monitored, and `others` once heard."""
        self.ingest = ingest
        self._clock = clock
        self._announced = participants
        self._others = others
        self._looking = looking or Looking()
        self._people: dict[str, Person] = {}
        """Those who are there."""
        self._intake: Intake | None = None
        self._running = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._failure: BaseException | None = None
        self._paused: tuple[float, LostReason] | None = None
        """Call seconds since when nothing comes, and why."""
        self.latest = clock()
        """Monotonic seconds of the latest media."""
        self.received = False
        """Whether there was any media."""
        self.unscored = 0.0
        """Seconds of sound of parties that are not scored."""

    @property
    def paused(self) -> bool:
        """Whether the far end withholds media on purpose, or said that it is cut off."""
        return self._paused is not None

    def hang_up(self, reason: str) -> None:
        """End the source; the first reason counts."""
        if not self._ended.is_set():
            self._reason = reason
            self._ended.set()

    async def feed(self, message: Message, arrived: float | None = None) -> None:
        """Take what a parser read; `arrived`: monotonic seconds, if it did not come just now.

        Raises TelephonyError for sound that is not what was agreed on.
        """
        await self._running.wait()
        intake = self._intake
        if intake is None or self._ended.is_set():
            return
        if isinstance(message, Chunk | Packet | Picture):
            await self._take(message, arrived, intake)
        elif isinstance(message, Paused):
            if self._paused is None:
                for person in self._people.values():
                    await person.flush()
                self._paused = intake.now(), message.reason
        elif isinstance(message, Resumed):
            await self._resume(intake)
        elif isinstance(message, Left):
            gone = self._people.pop(message.participant, None)
            if gone is not None:
                await gone.leave()
        elif isinstance(message, Ended):
            self.hang_up("ended")

    async def run(self, intake: Intake) -> str:
        """Pass on what is fed until the stream ends; raises RuntimeError if a part of it died."""
        self._intake = intake
        for participant in self._announced:
            await self._meet(participant, intake).announce(audio=True)
        self._running.set()
        try:
            while not self._ended.is_set():
                try:
                    async with asyncio.timeout(_PAUSE_TICK):
                        await self._ended.wait()
                except TimeoutError:
                    await self._book_pause(intake)
                for person in list(self._people.values()):
                    await person.pop(self._clock())
            await self._book_pause(intake)
            for person in list(self._people.values()):
                await person.flush()
        finally:
            for person in self._people.values():
                await person.close()
        if self._failure is not None:
            raise RuntimeError("a part of the source died") from self._failure
        return self._reason

    async def _take(self, media: Media, arrived: float | None, intake: Intake) -> None:
        name = media.participant
        person = self._people.get(name)
        if person is None:
            if name not in self._others and name not in self._announced:
                self.unscored += media.duration if isinstance(media, Chunk) else 0.0
                return
            person = self._meet(name, intake)
        if self._paused is not None and self._paused[1] is LostReason.PAUSED:
            # What a platform sends while it is paused is not monitored: it said so.
            return
        await self._resume(intake)
        self.latest, self.received = self._clock(), True
        await person.take(media, self.latest if arrived is None else arrived)

    def _meet(self, participant: str, intake: Intake) -> Person:
        """Take in somebody who was not there."""
        person = Person(participant, intake, self._looking, self._fail)
        self._people[participant] = person
        return person

    def _fail(self, error: BaseException) -> None:
        """End because a decoder died: somebody would not be seen any more."""
        self._failure = error
        self.hang_up("fault")

    async def _resume(self, intake: Intake) -> None:
        if self._paused is None:
            return
        await self._book_pause(intake)
        self._paused = None
        self.latest = self._clock()
        for person in self._people.values():
            person.forget()

    async def _book_pause(self, intake: Intake) -> None:
        if self._paused is None:
            return
        since, reason = self._paused
        for name, person in self._people.items():
            start = since if person.heard is None else person.heard
            span = Span(start, intake.now())
            if span.duration > 0:
                await intake.put(Gap(name, span, reason))
