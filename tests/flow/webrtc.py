"""A sender and a network for WebRTC tests: an aiortc client behind a relay that loses packets."""

import asyncio
import fractions
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from monitor.ingest.webrtc.whip_offer import read_offer
from monitor.ingest.webrtc.whip_source import WebRtcOptions, WebRtcSource
from monitor.types import AudioFrame, Gap, VideoFrame
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Media
from monitor.types.sampling import Sampling


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; here it is all there is."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@dataclass
class MemoryIntake:
    """Remembers what a source hands over."""

    media: list[Media] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each of `media` was handed over, by the monotonic clock."""
    began: float | None = None
    slow: float = 0.0
    """Seconds that each picture takes its thread."""
    encoded: PacketTarget | None = None
    key_frames: float | None = None

    def now(self) -> float:
        at = time.monotonic()
        return at - self.since(at)

    def since(self, at: float) -> float:
        if self.began is None:
            self.began = at
        return self.began

    async def put(self, media: Media) -> None:
        self.media.append(media)
        self.arrivals.append(time.monotonic())

    def remark(self, text: str) -> None: ...

    def put_threadsafe(self, media: Media) -> None:
        time.sleep(self.slow)
        self.media.append(media)
        self.arrivals.append(time.monotonic())

    @property
    def audio(self) -> list[AudioFrame]:
        return [m for m in self.media if isinstance(m, AudioFrame)]

    @property
    def video(self) -> list[VideoFrame]:
        return [m for m in self.media if isinstance(m, VideoFrame)]

    @property
    def gaps(self) -> list[Gap]:
        return [m for m in self.media if isinstance(m, Gap)]

    @property
    def heard_seconds(self) -> float:
        return sum(frame.end - frame.start for frame in self.audio)


def _second() -> list[bytes]:
    """One second of Opus in 20 ms packets: a tone, loud for its first 100 ms."""
    at = np.arange(3 * 48_000) / 48_000
    pcm = (np.where(at % 1 < 0.1, 0.9, 0.02) * np.sin(2 * np.pi * 400 * at) * 32767).astype("<i2")
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.bit_rate = 48_000, 32_000
    encoder.format, encoder.layout = "s16", "mono"
    encoder.options = {"application": "voip"}
    packets: list[bytes] = []
    for i in range(150):
        frame = av.AudioFrame.from_ndarray(pcm[None, i * 960 : (i + 1) * 960], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, i * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[50:100]


class Speech(MediaStreamTrack):
    """A tone by the wall clock, loud for 100 ms at each full second; encoded beforehand."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets = _second()
        self._n = 0
        self._began = 0

    async def recv(self) -> "av.Packet[av.stream.Stream]":
        if not self._n:
            self._began = int(time.time() * 50)
        await asyncio.sleep(max(0.0, (self._began + self._n) * 0.02 - time.time()))
        packet = av.Packet(self._packets[(self._began + self._n) % 50])
        packet.pts, packet.time_base = self._n * 960, fractions.Fraction(1, 48_000)
        self._n += 1
        return packet


class Camera(MediaStreamTrack):
    """Grey pictures at 25 a second, white for 100 ms at each full second."""

    kind = "video"

    def __init__(self, size: tuple[int, int] = (240, 320)) -> None:
        super().__init__()
        self._n = 0
        self._began = 0
        self._size = size

    async def recv(self) -> av.VideoFrame:
        if not self._n:
            self._began = int(time.time() * 25)
        await asyncio.sleep(max(0.0, (self._began + self._n) * 0.04 - time.time()))
        at = ((self._began + self._n) % 25) * 0.04
        shade = 255 if at < 0.1 else 20 + self._n % 50
        picture = np.full((*self._size, 3), shade, np.uint8)
        picture[:, : 1 + self._n % 300] = 128 if shade != 255 else 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._n * 3600, fractions.Fraction(1, 90_000)
        self._n += 1
        return frame


@dataclass
class Network:
    """What happens to RTP from the client; deterministic by its seed."""

    loss: float = 0.0
    burst: float = 1.0
    """Mean length of a loss in packets."""
    reorder: float = 0.0
    """Share of audio packets that come 30 ms late."""
    duplicate: float = 0.0
    kinds: frozenset[str] = frozenset({"audio"})
    """Which packets the loss hits."""
    delay: dict[str, float] = field(default_factory=dict)
    """Seconds by kind."""
    jitter: float = 0.0
    """Seconds by which audio packets come later, at most; each by its own chance."""
    seed: int = 1
    audio_sent: int = 0
    audio_passed: int = 0
    feedback: int = 0
    """Packets from the service to the client."""
    types_lost: set[int] = field(default_factory=set)
    """RTP payload types that never arrive."""
    blocked: bool = False
    """Lose all RTP of `kinds`."""
    dead: bool = False
    """Lose everything, both ways."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._bad = False

    def loses(self) -> bool:
        """Two states: in the bad one everything is lost."""
        if self.blocked:
            return True
        if not self.loss:
            return False
        leave = 1 / self.burst
        enter = self.loss * leave / (1 - self.loss)
        self._bad = self._random.random() < (1 - leave if self._bad else enter)
        return self._bad

    def any_delay(self) -> float:
        return self._random.uniform(0, self.jitter)

    def chance(self, share: float) -> bool:
        return bool(share) and self._random.random() < share


class _Side(asyncio.DatagramProtocol):
    def __init__(self, got: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._got = got

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._got(data, addr)


class Relay:
    """Stands at the address that the answer names and passes datagrams both ways."""

    def __init__(self, network: Network, audio_types: set[int]) -> None:
        self._network = network
        self._audio_types = audio_types
        self._client: tuple[str, int] | None = None

    async def start(self, service: tuple[str, int]) -> int:
        """Pass to the service; return the port that stands for it."""
        loop = asyncio.get_running_loop()
        self._service = service
        self._outer, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_client), local_addr=("127.0.0.1", 0)
        )
        self._inner, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_service), local_addr=("127.0.0.1", 0)
        )
        return int(self._outer.get_extra_info("sockname")[1])

    def close(self) -> None:
        self._outer.close()
        self._inner.close()

    def _from_service(self, data: bytes, addr: tuple[str, int]) -> None:
        self._network.feedback += 128 <= data[0] < 192
        if self._client is not None and not self._outer.is_closing():
            self._outer.sendto(data, self._client)

    def _from_client(self, data: bytes, addr: tuple[str, int]) -> None:
        self._client = addr
        network = self._network
        if network.dead:
            return
        kind = ""
        if 128 <= data[0] < 192 and not 192 <= data[1] <= 223:
            kind = "audio" if data[1] & 0x7F in self._audio_types else "video"
        network.audio_sent += kind == "audio"
        if kind and data[1] & 0x7F in network.types_lost:
            return
        if kind in network.kinds and network.loses():
            return
        network.audio_passed += kind == "audio"
        wait = network.delay.get(kind, 0.0)
        if kind == "audio" and network.chance(network.reorder):
            wait += 0.03
        if kind == "audio" and network.jitter:
            wait += network.any_delay()
        loop = asyncio.get_running_loop()
        for _ in range(2 if kind == "audio" and network.chance(network.duplicate) else 1):
            if wait:
                loop.call_later(wait, self._send, data)
            else:
                self._send(data)

    def _send(self, data: bytes) -> None:
        if not self._inner.is_closing():
            self._inner.sendto(data, self._service)


async def publish(
    tracks: list[MediaStreamTrack],
    intake: MemoryIntake,
    during: Callable[[WebRtcSource, RTCPeerConnection], Awaitable[object]],
    network: Network | None = None,
    options: WebRtcOptions | None = None,
) -> str:
    """Send the tracks through the network to a source; return why its `run` ended."""
    client = RTCPeerConnection()
    for track in tracks:
        client.addTransceiver(track, direction="sendonly")
    await client.setLocalDescription(await client.createOffer())
    # Without candidates in the offer the only way is through the relay.
    sdp = re.sub(r"a=(?:candidate|end-of-candidates).*\r\n", "", client.localDescription.sdp)
    offer = read_offer(sdp)
    source = WebRtcSource(offer, "remote", Sampling.steady(25), 640, options or WebRtcOptions())
    answer = await source.answer()
    network = network or Network()
    audio_types = {int(n) for n in re.findall(r"a=rtpmap:(\d+) (?:opus|PCM|G722)", answer)}
    relay = Relay(network, audio_types)
    found = re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) typ host", answer)
    assert found, answer
    port = await relay.start(("127.0.0.1", int(found[1])))
    answer = re.sub(rf"(127\.0\.0\.1) {found[1]}\b", rf"\1 {port}", answer)
    running = asyncio.create_task(source.run(intake))
    try:
        await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await during(source, client)
        source.hang_up()
        return await asyncio.wait_for(running, 20)
    finally:
        running.cancel()
        await client.close()
        relay.close()
