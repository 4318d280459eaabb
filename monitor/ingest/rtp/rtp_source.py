"""A participant whose RTP is sent here, as a session description says: by Janus, by an MCU.

port of m=audio ── RtpPort ── AudioReceiver ───────────────────────────► AudioFrame, Gap
port of m=video ── RtpPort ── Assembly ── VideoReceiver, in its thread ──► VideoFrame
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import ip_network

from monitor.ingest.connection.networks import Networks
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame
from monitor.ingest.rtp.assembly import Assembly
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.rtp_port import RtpPort
from monitor.ingest.rtp.sdp import Description
from monitor.ingest.rtp.video_receiver import VideoReceiver
from monitor.runtime import log
from monitor.runtime.blocking import run_in_own_thread
from monitor.runtime.tasks import begin
from monitor.types import Tracks
from monitor.types.protocols import Intake, SourceError
from monitor.types.sampling import Sampling

_log = log.get(__name__)

_ANYBODY: Networks = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""RTP knows no authentication, and who sends is not in the description."""
_SOUNDS, _PICTURES = 500, 4000
"""Packets that may wait for the event loop: ten seconds."""
_TICK = 0.5
"""Seconds between looks at whether anybody sends."""
_LAST_PICTURE = 2.0
"""Seconds that the decoder may take for the picture it is at when the call ends."""


@dataclass(frozen=True, slots=True)
class RtpOptions:
    """Seconds unless said otherwise."""

    host: str = "127.0.0.1"
    """Address to receive at."""
    open_timeout: float = 5.0
    """No packet for this long from the beginning on is said in the log."""
    read_timeout: float = 3.0
    """So is none for this long later."""
    give_up_after: float = 300.0
    """Without media for this long the call ends; 0 never gives up."""
    jitter_wait: float = 0.08
    """For how long a late packet holds back those after it."""


class RtpSource:
    """One description's streams as one participant; owns its UDP ports and one decode thread."""

    ingest = "rtp"
    live = True

    def __init__(
        self,
        description: Description,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: RtpOptions,
    ) -> None:
        self._description = description
        self._participant = participant
        self._sampling, self._video_width = sampling, video_width
        self._options = options
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._shown = f"rtp://{host}:{description.ports[0]}"
        self._ports: list[RtpPort] = []
        self._hearing: AudioReceiver | None = None
        self._sight: VideoReceiver | None = None
        self._assembly: Assembly | None = None
        self._sounds: deque[RtpPacket] = deque(maxlen=_SOUNDS)
        self._pictures: deque[RtpPacket] = deque(maxlen=_PICTURES)
        self._arrived = asyncio.Event()
        self._latest = 0.0
        self._received = False
        self._fault: BaseException | None = None

    async def run(self, intake: Intake) -> str:
        """Receive until cancelled or given up; raises SourceError if that can never be.

        Raises RuntimeError if a part of it died.
        """
        self._prepare(intake)
        decoding: asyncio.Task[None] | None = None
        try:
            await self._open()
            heard, seen = self._hearing is not None, self._sight is not None
            await intake.put(Tracks(self._participant, heard, seen))
            if self._sight is not None:
                work = partial(self._sight.decode, intake)
                decoding = begin("decoding", run_in_own_thread("video", work), self._fail)
            return await self._receive(intake)
        finally:
            for port in self._ports:
                port.close()
            if self._sight is not None:
                self._sight.close()
            if decoding is not None:
                await asyncio.wait({decoding}, timeout=_LAST_PICTURE)
            self._report()

    def _prepare(self, intake: Intake) -> None:
        description, wait = self._description, self._options.jitter_wait
        if description.sound is not None:
            formats = description.sound.formats
            self._hearing = AudioReceiver(self._participant, formats, wait, intake.since)
            self._hearing.keep = intake.encoded
        if description.pictures is not None:
            sight = self._sight = VideoReceiver(
                self._participant, self._sampling, self._video_width, self._sender
            )
            sight.keep = intake.encoded

            def show(frame: EncodedFrame) -> None:
                sight.push(frame, intake.since(frame.arrived))

            formats_ = description.pictures.formats
            self._assembly = Assembly(formats_, wait, show, sight.lost)

    async def _open(self) -> None:
        host, sound, pictures = (
            self._options.host,
            self._description.sound,
            self._description.pictures,
        )
        self._latest = time.monotonic()
        try:
            if sound is not None and self._hearing is not None:
                take, report = partial(self._take, self._sounds), self._hearing.report
                self._ports.append(await RtpPort.bind(host, sound.port, _ANYBODY, take, report))
            if pictures is not None and self._sight is not None:
                take, report = partial(self._take, self._pictures), self._sight.report
                self._ports.append(await RtpPort.bind(host, pictures.port, _ANYBODY, take, report))
        except SourceError as error:
            raise SourceError(error.reason, f"{self._shown}: {error.detail}") from error

    def _take(self, waiting: deque[RtpPacket], packet: RtpPacket) -> None:
        self._latest, self._received = packet.arrived, True
        waiting.append(packet)
        self._arrived.set()

    async def _receive(self, intake: Intake) -> str:
        """Hand media on; return why it ended."""
        told = False
        while self._fault is None:
            until = min([time.monotonic() + _TICK, *self._deadlines()])
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._arrived.wait()
            self._arrived.clear()
            await self._hear(intake)
            self._see(intake)
            silent, options = time.monotonic() - self._latest, self._options
            if silent < (options.read_timeout if self._received else options.open_timeout):
                told = False
                continue
            if not told:
                told = True
                detail = f"{self._shown}: no packet in time"
                _log.warning(
                    "source connection failed", uri=self._shown, reason="no_media", detail=detail
                )
            if options.give_up_after and silent > options.give_up_after:
                if not self._received:
                    raise SourceError("no_media", f"{self._shown}: no packet in time")
                return "gone"
        raise RuntimeError("a part of the receiver died") from self._fault

    def _deadlines(self) -> list[float]:
        """Monotonic seconds at which something has to be done."""
        tracks = (self._hearing, self._assembly)
        times = (track.deadline for track in tracks if track is not None)
        return [at for at in times if at is not None]

    async def _hear(self, intake: Intake) -> None:
        if self._hearing is None:
            return
        while self._sounds:
            for media in self._hearing.push(self._sounds.popleft()):
                await intake.put(media)
        for media in self._hearing.pop(time.monotonic()):
            await intake.put(media)

    def _see(self, intake: Intake) -> None:
        if self._assembly is None or self._sight is None:
            return
        self._sight.thin(intake.key_frames)
        while self._pictures:
            self._assembly.push(self._pictures.popleft())
        self._assembly.pop(time.monotonic())

    def _sender(self) -> float | None:
        """Monotonic seconds at second 0 of the sender's clock, as the sound has it."""
        return self._hearing.sender if self._hearing is not None else None

    def _fail(self, error: BaseException) -> None:
        """End because a part died: nobody would be seen any more."""
        self._fault = error
        self._arrived.set()

    def _report(self) -> None:
        """Log what became of packets and pictures."""
        if self._hearing is not None:
            counts = asdict(self._hearing.buffer.counts)
            counts["undecodable"] = self._hearing.undecodable
            _log.info("rtp audio", participant=self._participant, **counts)
        if self._sight is not None and self._assembly is not None:
            counts = asdict(self._sight.counts) | {"unreadable": self._assembly.unreadable}
            aligned = self._sight.clock.aligned
            _log.info("rtp video", participant=self._participant, aligned=aligned, **counts)
