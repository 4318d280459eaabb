"""One peer connection that receives a participant's tracks. The only user of aiortc's connection.

Frames that wait inside aiortc are not bounded, so every track is read for as long as the
connection lives, and what the call cannot take is dropped there, counted.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aioice.ice
import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

from monitor import log
from monitor.clock import MediaClock
from monitor.ingest.convert import AudioConverter, VideoSampler, seconds
from monitor.ingest.whip import Offer, OfferError
from monitor.protocols import Intake
from monitor.types import SAMPLE_RATE, AudioFrame, Tracks, VideoFrame

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class WebRtcOptions:
    """Deadlines in seconds."""

    connect_timeout: float = 30.0
    """From the answer to the first media."""
    idle_timeout: float = 30.0
    """Without any media, after which the participant is gone."""
    ice_servers: tuple[str, ...] = ()
    """STUN or TURN URLs; none by default, so that no outside host is contacted."""


def offer_loopback() -> None:
    """Let ICE use 127.0.0.1 too, for a browser on the machine that the service runs on.

    aioice leaves loopback out and has no option for it.
    """
    original = aioice.ice.get_host_addresses

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return [*original(use_ipv4, use_ipv6), *(["127.0.0.1"] if use_ipv4 else [])]

    aioice.ice.get_host_addresses = with_loopback


class WebRtcSource:
    """A participant who publishes by WHIP."""

    ingest = "whip"
    live = True

    def __init__(
        self,
        offer: Offer,
        participant: str,
        video_fps: float,
        video_width: int,
        options: WebRtcOptions,
    ) -> None:
        self._offer = offer
        self._participant = participant
        self._video_fps = video_fps
        self._video_width = video_width
        self._options = options
        servers = [RTCIceServer(urls=url) for url in options.ice_servers]
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._tracks: list[MediaStreamTrack] = []
        self._ended = asyncio.Event()
        self._reason = "ended"
        self._latest = time.monotonic()
        self._received = False
        self._pc.on("track", self._tracks.append)
        self._pc.on("connectionstatechange", self._on_state)

    async def answer(self) -> str:
        """Apply the offer and return the SDP answer; raises OfferError if it does not fit."""
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(self._offer.sdp, "offer"))
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except (OperationError, InvalidStateError, ValueError, KeyError, IndexError) as error:
            await self._pc.close()
            raise OfferError(422, "Offer not acceptable", f"sdp: {error}") from error
        return self._pc.localDescription.sdp

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
        tasks = [asyncio.create_task(self._receive(track, intake)) for track in self._tracks]
        try:
            while not self._ended.is_set():
                limit = (
                    self._options.idle_timeout if self._received else self._options.connect_timeout
                )
                left = self._latest + limit - time.monotonic()
                if left <= 0:
                    return "idle" if self._received else "no_media"
                try:
                    await asyncio.wait_for(self._ended.wait(), left)
                except TimeoutError:
                    continue
            return self._reason
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pc.close()

    async def _receive(self, track: MediaStreamTrack, intake: Intake) -> None:
        clock = MediaClock(intake.now)
        converter, sampler = AudioConverter(), VideoSampler(self._video_fps, self._video_width)
        heard: float | None = None
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self._latest, self._received = time.monotonic(), True
            at = seconds(frame.pts, frame.time_base)
            if at is None:
                continue
            at = clock.time(at)
            if isinstance(frame, av.AudioFrame):
                samples = converter.convert(frame)
                # The resampler holds back a little; only a real hole moves the time.
                if heard is not None and abs(at - heard) < 0.01:
                    at = heard
                heard = at + len(samples) / SAMPLE_RATE
                if len(samples):
                    await intake.put(AudioFrame(self._participant, at, samples))
            elif isinstance(frame, av.VideoFrame):
                image = sampler.sample(frame, at)
                if image is not None:
                    await intake.put(VideoFrame(self._participant, at, image))

    async def _on_state(self) -> None:
        state = self._pc.connectionState
        _log.info("webrtc connection", state=state, participant=self._participant)
        if state in ("failed", "closed"):
            self.hang_up("disconnected" if state == "failed" else "ended")
