"""One peer connection that receives a participant's tracks.

packets ─ Tap ─┬─ AudioReceiver ─ jitter buffer, decoder ───────► AudioFrame, Gap
               └─ VideoReceiver ─ queue ─ decoder in its own thread ─► VideoFrame
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.rtp.aiortc_adapter import (
    EncodedFrame,
    SenderReport,
    Tap,
)
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.video_receiver import VideoReceiver
from monitor.runtime import log
from monitor.runtime.blocking import run_in_own_thread
from monitor.runtime.tasks import begin, ended
from monitor.types import Tracks
from monitor.types.protocols import Intake
from monitor.types.sampling import Sampling

_log = log.get(__name__)

_PACKETS = 500
"""Audio packets that may wait for the event loop: ten seconds of 20 ms."""
_LOOK = 0.25
"""Seconds between looks at whether video is frozen."""
_LAST_PICTURE = 2.0
"""Seconds that the decoder may take for the picture it is at when the call ends."""


@dataclass(frozen=True, slots=True)
class WebRtcOptions:
    """Deadlines in seconds, bit rates in kb/s."""

    connect_timeout: float = 30.0
    """From the answer to the connection."""
    idle_timeout: float = 3600.0
    """Without any media, after which the participant is gone. Who no longer answers is found
    sooner, by ICE's consent checks (RFC 7675)."""
    ice_servers: tuple[str, ...] = ()
    """STUN or TURN URLs; none by default, so that no outside host is contacted."""
    start_bitrate: int = 1500
    """Video bit rate that a browser is asked to begin with; 0 leaves it to the browser."""
    min_bitrate: int = 300
    """Below this a browser does not go, congested or not; 0 leaves it to the browser."""
    max_bitrate: int = 2500
    """Above this a browser does not go; 0 leaves it to the browser."""
    jitter_wait: float = 0.08
    """For how long a late audio packet holds back those after it."""


class Receiver:
    """Receives from the moment `take` is called; what comes before `run` waits there."""

    def __init__(
        self, participant: str, sampling: Sampling, video_width: int, options: WebRtcOptions
    ) -> None:
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._options = options
        servers = [RTCIceServer(urls=url) for url in options.ice_servers]
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.hearing: AudioReceiver | None = None
        self.sight: VideoReceiver | None = None
        self._video: Tap | None = None
        self._packets: deque[RtpPacket] = deque()
        self._pictures: deque[EncodedFrame] = deque()
        """Those that came before `run`."""
        self._arrived = asyncio.Event()
        self._overrun = 0
        self._intake: Intake | None = None
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._failure: BaseException | None = None
        self._latest = time.monotonic()
        self.received = False
        self._up = False
        self.connection.on("connectionstatechange", self._on_state)

    def take(self) -> None:
        """Take the first audio and the first video track that come; drop what others send.

        To be called once the remote description is set, before anything else is awaited.
        """
        for transceiver in self.connection.getTransceivers():
            # An offer has been answered once there is a current direction.
            direction = transceiver.currentDirection or transceiver.direction
            if direction not in ("recvonly", "sendrecv"):
                continue
            if transceiver.kind == "audio" and self.hearing is None:
                tap = Tap(transceiver, self._on_audio_report)
                named = {number: sound_format(name) for number, name in tap.codecs.items()}
                formats = {number: each for number, each in named.items() if each is not None}
                wait = self._options.jitter_wait
                self.hearing = AudioReceiver(self._participant, formats, wait, self._since)
                tap.take_packets(self._on_packet)
            elif transceiver.kind == "video" and self._video is None:
                self._video = tap = Tap(transceiver, self._on_video_report)
                tap.take_frames(self._on_picture, self._on_picture_lost)
            else:
                Tap(transceiver, lambda _: None).take_packets(lambda _: None)
                _log.warning("track ignored", kind=transceiver.kind, participant=self._participant)
        if self._video is not None:
            self.sight = VideoReceiver(
                self._participant, self._sampling, self._video_width, self._sender
            )

    @property
    def connected(self) -> bool:
        """Whether a connection came up that nobody has ended since."""
        return self._up and not self._ended.is_set()

    async def close(self) -> None:
        """Release a connection that `run` was never called for."""
        await self.connection.close()

    def hang_up(self, reason: str = "ended") -> None:
        """Let `run` return."""
        if not self._ended.is_set():
            self._reason = reason
            self._ended.set()

    async def run(self, intake: Intake) -> str:
        """Receive until the other side leaves or falls silent for too long; return why it ended.

        Raises RuntimeError if a part of it died.
        """
        self._latest = time.monotonic()
        heard, seen = self.hearing is not None, self.sight is not None
        await intake.put(Tracks(self._participant, heard, seen))
        self._intake = intake
        for track in (self.hearing, self.sight):
            if track is not None:
                track.keep = intake.encoded
        while self._pictures:
            self._on_picture(self._pictures.popleft())
        tasks: list[asyncio.Task[None]] = []
        decoding: asyncio.Task[None] | None = None
        if self.hearing is not None:
            tasks.append(begin("hearing", self._hear(self.hearing, intake), self._fail))
        if self.sight is not None and self._video is not None:
            work = partial(self.sight.decode, intake)
            decoding = begin("decoding", run_in_own_thread("video", work), self._fail)
            looking = self._look_after(self.sight, self._video, intake)
            tasks.append(begin("sight", looking, self._fail))
        try:
            reason = await self._until_the_end()
            if self.hearing is not None and self.received:
                for media in self.hearing.flush():
                    await intake.put(media)
            return reason
        finally:
            if self.sight is not None:
                self.sight.close()
            await ended(*tasks)
            await self.connection.close()
            if decoding is not None:
                await asyncio.wait({decoding}, timeout=_LAST_PICTURE)
            self._report()
            # aiortc's objects refer to each other and to this one. What FFmpeg holds for the sound
            # is not seen by the collector, and would stay until that looks here of itself.
            self.hearing = None
            self.connection.remove_all_listeners()

    async def _until_the_end(self) -> str:
        while not self._ended.is_set():
            there = self.received or self._up
            limit = self._options.idle_timeout if there else self._options.connect_timeout
            left = self._latest + limit - time.monotonic()
            if left <= 0:
                return "idle" if self.received else "no_media"
            with suppress(TimeoutError):
                # Not for as long as that: a connection that comes up changes the limit.
                await asyncio.wait_for(self._ended.wait(), min(left, self._options.connect_timeout))
        if self._failure is not None:
            raise RuntimeError("a part of the receiver died") from self._failure
        return self._reason

    def _fail(self, error: BaseException) -> None:
        """End because a part died: nobody would be heard or seen any more."""
        self._failure = error
        self.hang_up("fault")

    def _since(self, at: float) -> float:
        """Monotonic second of the call's second 0; the call begins with its first media."""
        assert self._intake is not None
        return self._intake.since(at)

    def _sender(self) -> float | None:
        """Monotonic seconds at second 0 of the sender's clock, as the sound has it."""
        return self.hearing.sender if self.hearing is not None else None

    def _on_packet(self, packet: RtpPacket) -> None:
        self._latest, self.received = packet.arrived, True
        if len(self._packets) >= _PACKETS:
            self._packets.popleft()
            self._overrun += 1
        self._packets.append(packet)
        self._arrived.set()

    async def _hear(self, hearing: AudioReceiver, intake: Intake) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(hearing.deadline):
                    await self._arrived.wait()
            self._arrived.clear()
            while self._packets:
                for media in hearing.push(self._packets.popleft()):
                    await intake.put(media)
            for media in hearing.pop(time.monotonic()):
                await intake.put(media)

    def _on_picture(self, frame: EncodedFrame) -> None:
        self._latest, self.received = time.monotonic(), True
        if self._intake is None:
            self._pictures.append(frame)
            if len(self._pictures) > _PACKETS:
                self._pictures.clear()
        elif self.sight is not None:
            self.sight.push(frame, self._since(frame.arrived))

    def _on_picture_lost(self) -> None:
        if self.sight is not None:
            self.sight.lost()

    async def _look_after(self, sight: VideoReceiver, tap: Tap, intake: Intake) -> None:
        """Ask for a key frame when the picture is frozen or broken, or nothing else is decoded."""
        while True:
            await asyncio.sleep(_LOOK)
            sight.thin(intake.key_frames)
            frames = tap.frames
            if sight.wants_key_frame(frames.arrived, frames.reset) and frames.ssrc is not None:
                await tap.request_key_frame(frames.ssrc)

    def _on_audio_report(self, report: SenderReport) -> None:
        if self.hearing is not None:
            self.hearing.report(report)

    def _on_video_report(self, report: SenderReport) -> None:
        if self.sight is not None:
            self.sight.report(report)

    def _report(self) -> None:
        """Log what became of packets and pictures."""
        if self.hearing is not None:
            counts = asdict(self.hearing.buffer.counts)
            counts |= {"overrun": self._overrun, "undecodable": self.hearing.undecodable}
            _log.info("webrtc audio", participant=self._participant, **counts)
        if self.sight is not None:
            aligned = self.sight.clock.aligned
            counts = asdict(self.sight.counts)
            _log.info("webrtc video", participant=self._participant, aligned=aligned, **counts)

    async def _on_state(self) -> None:
        state = self.connection.connectionState
        _log.info("webrtc connection", state=state, participant=self._participant)
        if state == "connected":
            self._latest, self._up = time.monotonic(), True
        if state in ("failed", "closed"):
            self.hang_up("disconnected" if state == "failed" else "ended")
