"""One participant of a stream: what is said and shown, as it comes, onto the call's clock.

Chunk ──── Voice ─────────┐
Packet ─── AudioReceiver ─┼─► frames and gaps     Picture ─ VideoReceiver, in its thread ─► pictures
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from monitor.ingest.clock.audio_track import Heard
from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.video_receiver import RATE, VideoReceiver
from monitor.ingest.telephony.dialect import Chunk, Media, Packet
from monitor.ingest.telephony.voice import Voice
from monitor.runtime.blocking import run_in_own_thread
from monitor.runtime.tasks import begin
from monitor.types import AudioFrame, Tracks
from monitor.types.packet import AS_ARRIVED
from monitor.types.protocols import Intake
from monitor.types.sampling import Sampling

_WAIT = 0.08
"""Seconds for which a late packet holds back those after it."""
_LAST_PICTURE = 2.0
"""Seconds that the decoder may take for the picture it is at when the participant leaves."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How pictures of a stream are looked at."""

    sampling: Sampling = Sampling()
    width: int = 1280
    """Pixels; wider pictures are scaled down."""


class Person:
    """Somebody who is monitored."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        looking: Looking,
        died: Callable[[BaseException], None],
    ) -> None:
        """`died` hears of a decoder that ends by an error."""
        self.tracks = Tracks(name, audio=False, video=False)
        """What has come of them so far."""
        self.heard: float | None = None
        """Call seconds up to which audio was handed over."""
        self._name = name
        self._intake = intake
        self._looking = looking
        self._died = died
        self._voice: Voice | None = None
        self._hearing: AudioReceiver | None = None
        self._codec = ""
        self._sight: VideoReceiver | None = None
        self._decoding: asyncio.Task[None] | None = None

    async def take(self, media: Media, arrived: float) -> None:
        """Take what came at monotonic second `arrived`; raises TelephonyError for a wrong rate."""
        if isinstance(media, Chunk):
            if self._voice is None:
                self._voice = Voice(self._name, self._intake.since, self._intake.encoded)
            await self.announce(audio=True)
            await self._hand_over(self._voice.push(media, arrived))
        elif isinstance(media, Packet):
            hearing = self._hears(media.codec)
            await self.announce(audio=True)
            packet = RtpPacket(
                media.stream,
                media.number % (1 << 16),
                media.timestamp % (1 << 32),
                0,
                media.payload,
                arrived,
            )
            await self._hand_over(hearing.push(packet))
        else:
            sight = self._sees(media.codec)
            await self.announce(video=True)
            stamp = round((arrived if media.time is None else media.time) * RATE) % (1 << 32)
            # Another way of counting, or another codec, is another track.
            ssrc = crc32(f"{media.codec} {media.time is None}".encode())
            frame = EncodedFrame(media.codec, media.data, stamp, ssrc, arrived)
            sight.push(frame, self._intake.since(arrived))

    async def announce(self, audio: bool = False, video: bool = False) -> None:
        """Say what is there of them, if it is news."""
        known = self.tracks
        tracks = Tracks(self._name, known.audio or audio, known.video or video)
        if tracks != known:
            self.tracks = tracks
            await self._intake.put(tracks)

    async def pop(self, now: float) -> None:
        """Hand on what waits no longer at monotonic second `now`."""
        for ear in (self._voice, self._hearing):
            if ear is not None:
                await self._hand_over(ear.pop(now))
        if self._sight is not None:
            self._sight.thin(self._intake.key_frames)

    async def flush(self) -> None:
        """Hand on all that has come of the sound."""
        for ear in (self._voice, self._hearing):
            if ear is not None:
                await self._hand_over(ear.flush())

    def forget(self) -> None:
        """What comes next has nothing to do with what was before."""
        self._hearing = None
        if self._voice is not None:
            self._voice.forget()

    async def leave(self) -> None:
        """Say that they are not there any more, and let go of what decodes."""
        await self.flush()
        if self.tracks.audio or self.tracks.video:
            self.tracks = Tracks(self._name, audio=False, video=False)
            await self._intake.put(self.tracks)
        await self.close()

    async def close(self) -> None:
        """Let go of what decodes."""
        if self._sight is not None:
            self._sight.close()
        if self._decoding is not None:
            await asyncio.wait({self._decoding}, timeout=_LAST_PICTURE)
        self._sight = self._decoding = None

    def _hears(self, codec: str) -> AudioReceiver:
        if self._hearing is None or self._codec != codec:
            format_ = sound_format(codec)
            assert format_ is not None, "parsers yield known codecs only"
            self._hearing = AudioReceiver(self._name, {0: format_}, _WAIT, self._intake.since)
            self._hearing.keep = self._intake.encoded
            self._codec = codec
        return self._hearing

    def _sees(self, codec: str) -> VideoReceiver:
        if self._sight is None:
            looking = self._looking
            self._sight = sight = VideoReceiver(self._name, looking.sampling, looking.width)
            work = partial(sight.decode, self._intake)
            self._decoding = begin("decoding", run_in_own_thread("video", work), self._died)
        self._sight.keep = self._intake.encoded if codec in AS_ARRIVED else None
        return self._sight

    async def _hand_over(self, ready: Iterator[Heard]) -> None:
        for media in ready:
            if isinstance(media, AudioFrame):
                self.heard = media.end
            await self._intake.put(media)
