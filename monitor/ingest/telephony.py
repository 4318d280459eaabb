"""A call forked to us by a telephone platform: what it says goes in, both parties come out."""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial

import av
import numpy as np

from monitor.ingest.dialect import Chunk, Ended, Message, Paused, Resumed, TelephonyError, Wire
from monitor.ingest.g711 import Codec
from monitor.ingest.reorder import Reorder
from monitor.ingest.soundtrack import Heard, Sounding, Soundtrack
from monitor.packet import EncodedPacket, Encoding, PacketTarget
from monitor.protocols import Intake
from monitor.types import AudioFrame, Gap, LostReason, Span, Tracks

_PAUSE_TICK = 0.5
"""Seconds after which a lasting pause is booked again, before it would count as idle."""
_MISREAD = 3.0
"""Seconds for which samples may come at another rate than was agreed before the stream ends."""
_ENCODED = {Codec.MULAW: "pcm_mulaw", Codec.ALAW: "pcm_alaw", Codec.L16: "pcm_s16le"}


class _Voice:
    """One participant's way from chunks to frames."""

    def __init__(
        self, participant: str, since: Callable[[float], float], keep: PacketTarget | None
    ) -> None:
        """`keep` takes what arrived, as it arrived."""
        self._participant = participant
        self._keep = keep
        self._since = since
        self._reorder = Reorder()
        self._rate = 0
        self.heard: float | None = None
        """Call seconds up to which audio was handed over."""
        self._misread: float | None = None
        """Monotonic seconds since which samples come at another rate than was agreed."""
        self.forget()

    def forget(self) -> None:
        """Begin anew where the next chunk arrives."""
        self._track = Soundtrack(self._participant, self._since)

    def push(self, chunk: Chunk, arrived: float) -> Iterator[Heard]:
        """Yield what is ready; raises TelephonyError if it has another rate than was agreed."""
        for ordered, at in self._reorder.push(chunk, arrived):
            yield from self._noted(self._hear(ordered, at))
        self._check(arrived)

    def pop(self, now: float) -> Iterator[Heard]:
        """Yield what waits no longer at monotonic second `now`."""
        yield from self._noted(self._track.pop(now))

    def flush(self) -> Iterator[Heard]:
        """Yield what is left."""
        for ordered, at in self._reorder.flush():
            yield from self._noted(self._hear(ordered, at))
        yield from self._noted(self._track.flush())

    def _hear(self, chunk: Chunk, arrived: float) -> Iterator[Heard]:
        self._rate = chunk.rate
        samples = np.ascontiguousarray(chunk.samples)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = chunk.rate
        wire, keep = chunk.wire, None
        if self._keep is not None and wire is not None:
            keep = partial(self._kept, self._keep, wire, chunk.rate)
        yield from self._track.push(Sounding([frame], keep), arrived, chunk.time, lost=chunk.lost)

    def _kept(self, keep: PacketTarget, wire: Wire, rate: int, at: float, length: float) -> None:
        encoding = Encoding("audio", _ENCODED[wire.codec], rate, 1)
        keep(EncodedPacket(self._participant, encoding, wire.own(), at, length, True))

    def _noted(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        for media in heard:
            if isinstance(media, AudioFrame):
                self.heard = media.end
            yield media

    def _check(self, now: float) -> None:
        speed = self._track.clock.speed
        self._misread = None if speed == 1.0 else now if self._misread is None else self._misread
        if self._misread is not None and now - self._misread > _MISREAD:
            come = round(speed * self._rate, -2)
            raise TelephonyError(
                "rate",
                f"{self._rate} samples a second and channel were agreed on, {come:.0f} come",
                TelephonyError.UNSUPPORTED,
            )


class TelephonySource:
    """A call whose messages somebody else receives and feeds in."""

    live = True

    def __init__(
        self,
        ingest: str,
        participants: tuple[str, ...],
        others: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Of the stream's parties, only `participants` are monitored, and `others` once heard."""
        self.ingest = ingest
        self._clock = clock
        self._participants = participants
        self._others = others
        self._voices: dict[str, _Voice] = {}
        self._intake: Intake | None = None
        self._running = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._paused_since: float | None = None
        self.latest = clock()
        """Monotonic seconds of the latest media."""
        self.received = False
        """Whether there was any media."""
        self.unscored = 0.0
        """Seconds of sound of parties that are not scored."""

    @property
    def paused(self) -> bool:
        """Whether the far end withholds media on purpose."""
        return self._paused_since is not None

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
        if intake is None:
            return
        if isinstance(message, Chunk):
            # What a platform sends while it is paused is not monitored: it said so.
            if message.participant in self._others:
                await self._meet(message.participant, intake)
            elif message.participant not in self._participants:
                self.unscored += message.duration
            if message.participant in self._participants and not self.paused:
                self.latest, self.received = self._clock(), True
                voice = self._voice(message.participant, intake)
                at = self.latest if arrived is None else arrived
                await self._hand_over(voice.push(message, at), intake)
        elif isinstance(message, Paused):
            if not self.paused:
                await self._flush(intake)
                self._paused_since = intake.now()
        elif isinstance(message, Resumed):
            await self._book_pause(intake)
            self._paused_since = None
            self.latest = self._clock()
            for voice in self._voices.values():
                voice.forget()
        elif isinstance(message, Ended):
            self.hang_up("ended")

    async def run(self, intake: Intake) -> str:
        """Pass on what is fed until the stream ends."""
        for participant in self._participants:
            await intake.put(Tracks(participant, audio=True, video=False))
        self._intake = intake
        self._running.set()
        while not self._ended.is_set():
            try:
                async with asyncio.timeout(_PAUSE_TICK):
                    await self._ended.wait()
            except TimeoutError:
                await self._book_pause(intake)
            for voice in list(self._voices.values()):
                await self._hand_over(voice.pop(self._clock()), intake)
        await self._book_pause(intake)
        await self._flush(intake)
        return self._reason

    async def _meet(self, participant: str, intake: Intake) -> None:
        """Take in a party that was not announced."""
        self._others -= {participant}
        self._participants = (*self._participants, participant)
        await intake.put(Tracks(participant, audio=True, video=False))

    def _voice(self, participant: str, intake: Intake) -> _Voice:
        voice = self._voices.get(participant)
        if voice is None:
            voice = self._voices[participant] = _Voice(participant, intake.since, intake.encoded)
        return voice

    async def _hand_over(self, ready: Iterator[Heard], intake: Intake) -> None:
        for media in ready:
            await intake.put(media)

    async def _flush(self, intake: Intake) -> None:
        for voice in self._voices.values():
            await self._hand_over(voice.flush(), intake)

    async def _book_pause(self, intake: Intake) -> None:
        if self._paused_since is None:
            return
        for participant in self._participants:
            voice = self._voices.get(participant)
            heard = voice.heard if voice is not None else None
            start = self._paused_since if heard is None else heard
            span = Span(start, intake.now())
            if span.duration > 0:
                await intake.put(Gap(participant, span, LostReason.PAUSED))
