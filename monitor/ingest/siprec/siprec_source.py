"""A call that a session recording client sends here: a stream of RTP for each of its parties.

    stream of label 1 ── RtpPort ── AudioReceiver ──► frames of participant +15550100@example
    stream of label 2 ── RtpPort ── AudioReceiver ──► frames of participant agent7@example

Who the parties are is the metadata's to say, and it may change while the call goes on.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from monitor.ingest.connection.networks import Networks
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.rtp_port import RtpPort
from monitor.ingest.siprec.parties import Voice, voices
from monitor.ingest.siprec.recording_metadata import Metadata
from monitor.ingest.siprec.recording_offer import Line
from monitor.runtime import log
from monitor.types import Gap, LostReason, Span, Tracks
from monitor.types.protocols import Intake, SourceError

_log = log.get(__name__)

_TICK = 0.5
"""Seconds after which a lasting hold is booked again, before it would count as idle."""
_PACKETS = 500
"""Packets of one stream that may wait for the event loop: ten seconds of 20 ms."""
MOST_PARTIES = 64
"""Participants, and streams, of one session from its begin to its end."""
TOO_MANY = "too_many"
"""Why a source refuses more."""


@dataclass(frozen=True, slots=True)
class SiprecOptions:
    """How recorded calls are received."""

    host: str = "127.0.0.1"
    """Address to receive at."""
    ports: tuple[int, int] = (40_000, 40_999)
    """First and last UDP port of RTP."""
    peers: Networks = ()
    """Networks that packets may come from."""
    agents: tuple[str, ...] = ()
    """Patterns of addresses of our side; `*` and `?` as in file names."""
    both: bool = False
    """Whether our side is scored, too."""
    jitter_wait: float = 0.08
    """Seconds that a late packet holds back those after it."""
    idle_timeout: float = 3600.0
    """Seconds without media, on hold or not, after which the call ends. A client that has gone is
    found sooner, by asking it."""


@dataclass(slots=True)
class _Stream:
    """One line of the session while it is received."""

    line: Line
    voice: Voice
    port: RtpPort | None = None
    hearing: AudioReceiver | None = None
    """None until the call runs, and for a voice that is not scored."""
    packets: deque[RtpPacket] = field(default_factory=lambda: deque(maxlen=_PACKETS))
    held_since: float | None = None
    """Call seconds; None while the client sends."""
    counts: Counter[str] = field(default_factory=Counter)
    """What became of its packets."""

    def retire(self) -> None:
        """Let go of what hears it."""
        if self.hearing is not None:
            self.counts.update(asdict(self.hearing.buffer.counts))
            self.counts["undecodable"] += self.hearing.undecodable
            self.hearing = None

    def close(self) -> None:
        """Give the port back."""
        if self.port is not None:
            self.counts.update(
                foreign=self.port.foreign,
                unreadable=self.port.unreadable,
                strangers=self.port.strangers,
                sources_changed=self.port.changes,
            )
            self.port.close()
            self.port = None


class SiprecSource:
    """A recorded call; whoever speaks SIP says what it consists of, and when it is over."""

    ingest = "siprec"
    live = True

    def __init__(self, options: SiprecOptions) -> None:
        self.options = options
        self._streams: dict[str, _Stream] = {}
        """By label, also those that ended: a client may open them again."""
        self._announced: set[str] = set()
        self._named: set[str] = set()
        """Who ever was in the session: each keeps a standing until the call ends."""
        self._intake: Intake | None = None
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._latest = time.monotonic()
        self._received = False

    async def update(self, lines: Sequence[Line], metadata: Metadata) -> tuple[int, ...]:
        """Receive these streams from now on; return our port for each line, 0 if refused.

        Raises SourceError if there are no ports left, or for more participants than a call has, and
        nothing has changed then.
        """
        before = {label: stream.voice for label, stream in self._streams.items() if stream.port}
        options = self.options
        carried = voices(lines, metadata, options.agents, options.both, before)
        wanted = {line.label: line for line in lines if line.taken}
        names = self._named | {carried[label].participant for label in wanted}
        if max(len(names), len(self._streams.keys() | wanted)) > MOST_PARTIES:
            raise SourceError(TOO_MANY, f"more than {MOST_PARTIES} parties in one session")
        self._named = names
        opened: dict[str, RtpPort] = {}
        try:
            for label, line in wanted.items():
                known = self._streams.get(label)
                if known is None or known.port is None:
                    opened[label] = await self._open(label, line)
        except SourceError:
            for port in opened.values():
                port.close()
            raise
        for label, stream in self._streams.items():
            if label not in wanted:
                await self._drop(stream)
        for label, line in wanted.items():
            await self._take(label, line, carried[label], opened.get(label))
        await self._excuse({carried[label].participant for label in wanted})
        return tuple(self._port(line.label) if line.taken else 0 for line in lines)

    def hang_up(self, reason: str = "ended") -> None:
        """Let `run` return; the first reason counts."""
        if not self._ended.is_set():
            self._reason = reason
            self._ended.set()
            self._arrived.set()

    def close(self) -> None:
        """Give the ports back, for a source that never ran."""
        for stream in self._streams.values():
            stream.close()

    @property
    def participant(self) -> str:
        """Who is scored first; for as long as that is nobody, who was named first."""
        voices = sorted((s.voice for s in self._streams.values()), key=lambda v: not v.scored)
        names = [voice.participant for voice in voices]
        return names[0] if names else ""

    @property
    def quiet(self) -> float:
        """Seconds since the latest packet."""
        return time.monotonic() - self._latest

    async def run(self, intake: Intake) -> str:
        """Receive until the session ends or is silent for too long."""
        self._intake = intake
        self._latest = time.monotonic()
        for stream in self._streams.values():
            await self._begin(stream, intake)
        try:
            while not self._ended.is_set():
                silent = self._silent()
                if silent is not None:
                    return silent
                deadlines = [s.hearing.deadline for s in self._streams.values() if s.hearing]
                until = min([time.monotonic() + _TICK, *(d for d in deadlines if d is not None)])
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._arrived.wait()
                self._arrived.clear()
                for stream in self._streams.values():
                    await self._hear(stream, intake)
            for stream in self._streams.values():
                await self._flush(stream, intake)
            return self._reason
        finally:
            self.close()
            self._report()

    async def _open(self, label: str, line: Line) -> RtpPort:
        options = self.options

        def sink(packet: RtpPacket) -> None:
            self._latest, self._received = packet.arrived, True
            stream = self._streams.get(label)
            if stream is not None and stream.voice.scored and stream.held_since is None:
                stream.packets.append(packet)
                self._arrived.set()

        return await RtpPort.open(options.host, options.ports, options.peers, line.crypto, sink)

    def _port(self, label: str) -> int:
        port = self._streams[label].port
        return port.number if port is not None else 0

    async def _take(self, label: str, line: Line, voice: Voice, opened: RtpPort | None) -> None:
        """Begin a stream, or go on with what has changed about it."""
        stream = self._streams.get(label)
        if stream is None:
            stream = self._streams[label] = _Stream(line, voice)
        before = stream.line, stream.voice
        intake = self._intake
        fresh = opened is not None or before[1] != voice or before[0].codecs != line.codecs
        if intake is not None and (fresh or line.held != (stream.held_since is not None)):
            await self._flush(stream, intake)
            fresh = True
        if stream.port is not None and line.crypto != before[0].crypto:
            stream.port.rekey(line.crypto)
        stream.line, stream.voice = line, voice
        stream.port = opened or stream.port
        stream.held_since = None
        if fresh and intake is not None:
            await self._begin(stream, intake)

    async def _excuse(self, there: set[str]) -> None:
        """Say who has left the call: of them nothing is missing from now on."""
        for participant in self._announced - there:
            self._announced.discard(participant)
            if self._intake is not None:
                await self._intake.put(Tracks(participant, audio=False, video=False))

    async def _drop(self, stream: _Stream) -> None:
        """The client took a stream out of the session."""
        if stream.port is not None:
            if self._intake is not None:
                await self._flush(stream, self._intake)
            stream.retire()
            stream.close()
            stream.held_since = None

    async def _begin(self, stream: _Stream, intake: Intake) -> None:
        stream.retire()
        if not stream.voice.scored or stream.port is None:
            return
        wait, formats = self.options.jitter_wait, stream.line.codecs
        stream.hearing = AudioReceiver(stream.voice.participant, formats, wait, intake.since)
        stream.hearing.keep = intake.encoded
        if stream.voice.participant not in self._announced:
            self._announced.add(stream.voice.participant)
            await intake.put(Tracks(stream.voice.participant, audio=True, video=False))
        if stream.line.held:
            # What waits was sent before the hold, to a stream that ended.
            stream.packets.clear()
            stream.held_since = intake.now()

    async def _hear(self, stream: _Stream, intake: Intake) -> None:
        hearing = stream.hearing
        if hearing is None:
            return
        if stream.held_since is not None:
            await self._book_hold(stream, intake)
            return
        while stream.packets:
            for media in hearing.push(stream.packets.popleft()):
                await intake.put(media)
        for media in hearing.pop(time.monotonic()):
            await intake.put(media)

    async def _flush(self, stream: _Stream, intake: Intake) -> None:
        """Hand over all that has come, and account for a hold."""
        await self._hear(stream, intake)
        if stream.hearing is not None:
            for media in stream.hearing.flush():
                await intake.put(media)

    async def _book_hold(self, stream: _Stream, intake: Intake) -> None:
        assert stream.held_since is not None
        span = Span(stream.held_since, intake.now())
        if span.duration > 0:
            await intake.put(Gap(stream.voice.participant, span, LostReason.PAUSED))

    def _silent(self) -> str | None:
        """Why the call ends by itself, if it does."""
        if self.quiet < self.options.idle_timeout:
            return None
        return "idle" if self._received else "no_media"

    def _report(self) -> None:
        """Log what became of packets; who spoke is no matter of the log."""
        for label, stream in self._streams.items():
            stream.retire()
            _log.info("siprec audio", stream=label, scored=stream.voice.scored, **stream.counts)
