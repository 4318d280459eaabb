"""One peer connection that receives a participant's tracks.

packets ─ Tap ─┬─ Hearing ── jitter buffer, decoder ──────────► AudioFrame, Gap
               └─ Sight ─── queue ─ decoder in its own thread ─► VideoFrame
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

from aiortc import (
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError

from monitor import log
from monitor.ingest.aiortc_adapter import (
    EncodedFrame,
    SenderReport,
    Tap,
    accept_more_senders,
    offer_loopback,
)
from monitor.ingest.answer import with_bitrates, with_one_layer
from monitor.ingest.hearing import Hearing
from monitor.ingest.jitter import RtpPacket
from monitor.ingest.sight import Sight
from monitor.ingest.thread import run_in_own_thread
from monitor.ingest.whip import Offer, OfferError
from monitor.protocols import Intake
from monitor.sampling import Sampling
from monitor.types import Tracks

__all__ = ["WebRtcOptions", "WebRtcSource", "offer_loopback"]

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
    """From the answer to the first media."""
    idle_timeout: float = 30.0
    """Without any media, after which the participant is gone."""
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


class WebRtcSource:
    """A participant who publishes by WHIP."""

    ingest = "whip"
    live = True

    def __init__(
        self,
        offer: Offer,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: WebRtcOptions,
    ) -> None:
        self._offer = offer
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._options = options
        servers = [RTCIceServer(urls=url) for url in options.ice_servers]
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._hearing: Hearing | None = None
        self._sight: Sight | None = None
        self._video: Tap | None = None
        self._packets: deque[RtpPacket] = deque()
        self._pictures: deque[EncodedFrame] = deque()
        """Those that came before `run`."""
        self._arrived = asyncio.Event()
        self._overrun = 0
        self._intake: Intake | None = None
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._latest = time.monotonic()
        self._received = False
        self._pc.on("connectionstatechange", self._on_state)

    async def answer(self) -> str:
        """Apply the offer and return the SDP answer; raises OfferError if it does not fit."""
        accept_more_senders()
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(self._offer.sdp, "offer"))
            self._tap()
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except (OperationError, InvalidStateError, ValueError, KeyError, IndexError) as error:
            await self._pc.close()
            raise OfferError(422, "Offer not acceptable", f"sdp: {error}") from error
        options = self._options
        sdp = with_bitrates(
            self._pc.localDescription.sdp,
            options.start_bitrate,
            options.min_bitrate,
            options.max_bitrate,
        )
        return with_one_layer(sdp, self._offer.sdp)

    async def add_candidates(self, candidates: Sequence[RTCIceCandidate | None]) -> None:
        """Take trickled candidates."""
        for candidate in candidates:
            await self._pc.addIceCandidate(candidate)

    async def discard(self) -> None:
        """Release a connection that was answered but will not be monitored."""
        await self._pc.close()

    def hang_up(self, reason: str = "ended") -> None:
        """End the source: the client deleted its session."""
        if not self._ended.is_set():
            self._reason = reason
            self._ended.set()

    async def run(self, intake: Intake) -> str:
        """Receive until the client leaves or falls silent for too long."""
        self._latest = time.monotonic()
        await intake.put(Tracks(self._participant, self._offer.audio, self._offer.video))
        self._intake = intake
        for track in (self._hearing, self._sight):
            if track is not None:
                track.keep = intake.encoded
        while self._pictures:
            self._on_picture(self._pictures.popleft())
        tasks: list[asyncio.Task[None]] = []
        decoding: asyncio.Task[None] | None = None
        if self._hearing is not None:
            tasks.append(asyncio.create_task(self._hear(self._hearing, intake)))
        if self._sight is not None and self._video is not None:
            work = partial(self._sight.decode, intake)
            decoding = asyncio.create_task(run_in_own_thread("video", work))
            tasks.append(asyncio.create_task(self._look_after(self._sight, self._video)))
        try:
            reason = await self._until_the_end()
            if self._hearing is not None and self._received:
                for media in self._hearing.flush(self._offset()):
                    await intake.put(media)
            return reason
        finally:
            for task in tasks:
                task.cancel()
            if self._sight is not None:
                self._sight.close()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pc.close()
            if decoding is not None:
                await asyncio.wait({decoding}, timeout=_LAST_PICTURE)
            self._report()

    def _tap(self) -> None:
        """Take the first audio and the first video track; drop what others send."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.direction not in ("recvonly", "sendrecv"):
                continue
            if transceiver.kind == "audio" and self._hearing is None:
                tap = Tap(transceiver, self._on_audio_report)
                wait = self._options.jitter_wait
                self._hearing = Hearing(self._participant, tap.codecs, wait)
                tap.take_packets(self._on_packet)
            elif transceiver.kind == "video" and self._video is None:
                self._video = tap = Tap(transceiver, self._on_video_report)
                tap.take_frames(self._on_picture, self._on_picture_lost)
            else:
                Tap(transceiver, lambda _: None).take_packets(lambda _: None)
                _log.warning("track ignored", kind=transceiver.kind, participant=self._participant)
        if self._video is not None:
            leader = self._hearing.clock if self._hearing is not None else None
            self._sight = Sight(self._participant, self._sampling, self._video_width, leader)

    async def _until_the_end(self) -> str:
        while not self._ended.is_set():
            limit = self._options.idle_timeout if self._received else self._options.connect_timeout
            left = self._latest + limit - time.monotonic()
            if left <= 0:
                return "idle" if self._received else "no_media"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), left)
        return self._reason

    def _offset(self) -> float:
        """Call seconds minus monotonic seconds; the call begins with its first media."""
        assert self._intake is not None
        return self._intake.now() - time.monotonic()

    def _on_packet(self, packet: RtpPacket) -> None:
        self._latest, self._received = packet.arrived, True
        if len(self._packets) >= _PACKETS:
            self._packets.popleft()
            self._overrun += 1
        self._packets.append(packet)
        self._arrived.set()

    async def _hear(self, hearing: Hearing, intake: Intake) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(hearing.buffer.deadline):
                    await self._arrived.wait()
            self._arrived.clear()
            offset = self._offset()
            while self._packets:
                for media in hearing.push(self._packets.popleft(), offset):
                    await intake.put(media)
            for media in hearing.pop(time.monotonic(), offset):
                await intake.put(media)

    def _on_picture(self, frame: EncodedFrame) -> None:
        self._latest, self._received = time.monotonic(), True
        if self._intake is None:
            self._pictures.append(frame)
            if len(self._pictures) > _PACKETS:
                self._pictures.clear()
        elif self._sight is not None:
            self._sight.push(frame, self._offset())

    def _on_picture_lost(self) -> None:
        if self._sight is not None:
            self._sight.lost()

    async def _look_after(self, sight: Sight, tap: Tap) -> None:
        """Ask for a key frame when the picture is frozen or broken."""
        while True:
            await asyncio.sleep(_LOOK)
            frames = tap.frames
            if sight.wants_key_frame(frames.arrived, frames.reset) and frames.ssrc is not None:
                await tap.request_key_frame(frames.ssrc)

    def _on_audio_report(self, report: SenderReport) -> None:
        if self._hearing is not None:
            self._hearing.report(report)

    def _on_video_report(self, report: SenderReport) -> None:
        if self._sight is not None:
            self._sight.report(report)

    def _report(self) -> None:
        """Log what became of packets and pictures."""
        if self._hearing is not None:
            counts = asdict(self._hearing.buffer.counts)
            counts |= {"overrun": self._overrun, "undecodable": self._hearing.undecodable}
            _log.info("webrtc audio", participant=self._participant, **counts)
        if self._sight is not None:
            aligned = self._sight.clock.aligned
            counts = asdict(self._sight.counts)
            _log.info("webrtc video", participant=self._participant, aligned=aligned, **counts)

    async def _on_state(self) -> None:
        state = self._pc.connectionState
        _log.info("webrtc connection", state=state, participant=self._participant)
        if state in ("failed", "closed"):
            self.hang_up("disconnected" if state == "failed" else "ended")
