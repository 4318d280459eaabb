"""A call forked to us by a telephone platform: what it says goes in, both parties come out."""

import asyncio
import time
from collections.abc import Iterator

import av
import numpy as np

from monitor import log
from monitor.ingest.convert import AudioConverter, ends_block
from monitor.ingest.dialect import Chunk, Ended, Message, Paused, Resumed
from monitor.ingest.g711 import Codec, Samples
from monitor.ingest.streamclock import Reorder, StreamClock
from monitor.packet import EncodedPacket, Encoding, PacketTarget
from monitor.protocols import Intake
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Tracks, Waveform

_log = log.get(__name__)

_PAUSE_TICK = 0.5
"""Seconds after which a lasting pause is booked again, before it would count as idle."""
_SEAM = 0.01
"""Seconds between two frames that still are one: the resampler holds back a little."""
_ENCODED = {Codec.MULAW: "pcm_mulaw", Codec.ALAW: "pcm_alaw", Codec.L16: "pcm_s16le"}


class _Voice:
    """One participant's way from chunks to frames."""

    def __init__(self, participant: str, clock: StreamClock, keep: PacketTarget | None) -> None:
        """`keep` takes what arrived, as it arrived."""
        self.clock = clock
        self._participant = participant
        self._keep = keep
        self._reorder = Reorder()
        self._converter = AudioConverter()
        self._rate = 0
        self._waiting: list[Samples] = []
        """Not converted yet, at `_rate` and without a hole."""
        self._begin = 0.0
        """Call seconds at which they begin."""
        self._taken: float | None = None
        """Call seconds up to which audio was taken in."""
        self._sent = 0.0
        """Stream seconds received, for dialects without timestamps."""
        self.heard: float | None = None
        """Call seconds up to which audio was handed over."""

    def push(self, chunk: Chunk) -> Iterator[tuple[float, Waveform]]:
        """Yield call time and audio that is ready."""
        for ordered in self._reorder.push(chunk):
            yield from self._convert(ordered)

    def flush(self) -> Iterator[tuple[float, Waveform]]:
        """Yield what is left, and be ready for a new stretch."""
        for ordered in self._reorder.flush():
            yield from self._convert(ordered)
        yield from self._tail()

    def _convert(self, chunk: Chunk) -> Iterator[tuple[float, Waveform]]:
        stream = self._sent if chunk.time is None else chunk.time
        self._sent = stream + chunk.duration
        at = self.clock.place(stream, chunk.duration)
        if at is None or not len(chunk.samples):
            return
        joins = self._taken is not None and abs(at - self._taken) < _SEAM
        if self._taken is not None and joins and self._rate in (0, chunk.rate):
            at = self._taken
        elif self._taken is not None or self._rate not in (0, chunk.rate):
            yield from self._tail()
        self._rate = chunk.rate
        if self._keep is not None and chunk.wire is not None:
            encoding = Encoding("audio", _ENCODED[chunk.wire.codec], chunk.rate, 1)
            own = chunk.wire.own()
            self._keep(EncodedPacket(self._participant, encoding, own, at, chunk.duration, True))
        if not self._waiting:
            self._begin = at
        self._waiting.append(chunk.samples)
        self._taken = at + chunk.duration
        if ends_block(at, self._taken):
            yield from self._block()

    def _block(self) -> Iterator[tuple[float, Waveform]]:
        """Convert what waits."""
        if not self._waiting:
            return
        samples = np.concatenate(self._waiting)[None]
        self._waiting.clear()
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = self._rate
        at = self._begin
        if self.heard is not None and abs(at - self.heard) < _SEAM:
            at = self.heard
        yield from self._timed(at, self._converter.convert(frame))

    def _tail(self) -> Iterator[tuple[float, Waveform]]:
        yield from self._block()
        if self.heard is not None and self._rate:
            yield from self._timed(self.heard, self._converter.flush())
        self._converter = AudioConverter()
        self._rate = 0

    def _timed(self, at: float, samples: Waveform) -> Iterator[tuple[float, Waveform]]:
        self.heard = at + len(samples) / SAMPLE_RATE
        if len(samples):
            yield at, samples


class TelephonySource:
    """A call whose messages somebody else receives and feeds in."""

    live = True

    def __init__(
        self,
        ingest: str,
        participants: tuple[str, ...],
        others: frozenset[str] = frozenset(),
        since: float | None = None,
    ) -> None:
        """Of the stream's parties, only `participants` are monitored, and `others` once heard.

        `since`: monotonic second of the first sound, if that came before the source was made.
        """
        self.ingest = ingest
        self._participants = participants
        self._others = others
        self._since = since
        self._late = 0.0
        """Seconds that the message being read has waited since it came."""
        self._voices: dict[str, _Voice] = {}
        self._intake: Intake | None = None
        self._running = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._paused_since: float | None = None
        self.latest = time.monotonic()
        """Monotonic seconds of the latest media."""
        self.received = False
        """Whether there was any media."""

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
        """Take what a parser read; `arrived`: monotonic seconds, if it did not come just now."""
        await self._running.wait()
        intake = self._intake
        if intake is None:
            return
        self._late = 0.0 if arrived is None else time.monotonic() - arrived
        if isinstance(message, Chunk):
            # What a platform sends while it is paused is not monitored: it said so.
            if message.participant in self._others:
                await self._meet(message.participant, intake)
            if message.participant in self._participants and not self.paused:
                self.latest, self.received = time.monotonic(), True
                voice = self._voice(message.participant, intake)
                await self._hand_over(message.participant, voice.push(message), intake)
        elif isinstance(message, Paused):
            if not self.paused:
                await self._flush(intake)
                self._paused_since = intake.now()
        elif isinstance(message, Resumed):
            await self._book_pause(intake)
            self._paused_since = None
            self.latest = time.monotonic()
            for voice in self._voices.values():
                voice.clock.forget()
        elif isinstance(message, Ended):
            self.hang_up("ended")

    async def run(self, intake: Intake) -> str:
        """Pass on what is fed until the stream ends."""
        if self._since is not None:
            intake.begin(self._since)
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
            # Tracks of one stream share its clock.
            other = next((v.clock.offset for v in self._voices.values()), None)
            clock = StreamClock(lambda: intake.now() - self._late, other)
            voice = self._voices[participant] = _Voice(participant, clock, intake.encoded)
        return voice

    async def _hand_over(
        self, participant: str, ready: Iterator[tuple[float, Waveform]], intake: Intake
    ) -> None:
        for at, samples in ready:
            await intake.put(AudioFrame(participant, at, samples))

    async def _flush(self, intake: Intake) -> None:
        for participant, voice in self._voices.items():
            await self._hand_over(participant, voice.flush(), intake)

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
