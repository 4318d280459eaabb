"""A process full of callers: told how many there should be, it tells when each began.

Standard input: a JSON object a line, {"calls": N, "every": SECONDS between two starts}. Standard
output: {"began": as in `Caller`, "call": id, "label": label}, {"ready": N} when
there are as many as were wanted, {"error": words}.
"""

import asyncio
import base64
import json
import secrets
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import av
import httpx
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from monitor.bench.media import PACKET, Media, Track
from monitor.bench.rtsp import Camera
from monitor.ingest.rtp.aiortc_adapter import offer_loopback

Way = Literal["websocket", "webrtc", "rtsp"]
_PING, _PONG = 0x89, 0x8A
"""First bytes of whole control frames."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A call that has begun."""

    began: float
    """Monotonic seconds minus call seconds: the packet that ends at call second E left at
    `began` + E."""
    call: str
    """The service's name of it; empty where only the label is known."""
    label: str


class Callers:
    """Makes calls to one service."""

    def __init__(self, url: str, token: str, way: Way, media: Media) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._way = way
        self._media = media
        self._camera = Camera(media)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=30, trust_env=False
        )
        self._open: list[AsyncExitStack] = []

    async def start(self) -> None:
        """Be ready for the first call."""
        if self._way == "rtsp":
            await self._camera.start()
        elif self._way == "webrtc":
            offer_loopback()

    async def become(self, calls: int, every: float) -> AsyncIterator[Caller]:
        """Begin or end calls until there are `calls`; yields those that begin."""
        while len(self._open) > calls:
            await self._open.pop().aclose()
        while len(self._open) < calls:
            at = time.monotonic()
            async with AsyncExitStack() as stack:
                label = f"bench-{secrets.token_hex(6)}"
                making = {
                    "websocket": self._websocket, "webrtc": self._webrtc, "rtsp": self._rtsp
                }[self._way]  # fmt: skip
                yield await stack.enter_async_context(making(label))
                self._open.append(stack.pop_all())
            if len(self._open) < calls:
                await asyncio.sleep(max(0.0, at + every - time.monotonic()))

    @asynccontextmanager
    async def _websocket(self, label: str) -> AsyncIterator[Caller]:
        """A call that a platform forks, as Twilio does."""
        where = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(
            f"GET /telephony/twilio?call={label} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {self._token}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\n\r\n"
            .encode()
        )  # fmt: skip
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            raise ConnectionError(answer.partition(b"\r\n")[0].decode())
        start = {
            "event": "start",
            "start": {
                "callSid": label, "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        }  # fmt: skip
        writer.write(_frame(json.dumps(start)))
        began = time.monotonic()
        tasks = [
            asyncio.create_task(_talk(writer, self._media.audio, began)),
            asyncio.create_task(_answer(reader, writer)),
        ]
        try:
            yield Caller(began, "", label)
        finally:
            for task in tasks:
                task.cancel()
            if not writer.is_closing():
                writer.write(_frame(json.dumps({"event": "stop"})))
            writer.close()

    @asynccontextmanager
    async def _webrtc(self, label: str) -> AsyncIterator[Caller]:
        """A participant who publishes by WHIP."""
        connection = RTCPeerConnection()
        began: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        for track in (self._media.audio, self._media.video):
            if track is None:
                continue
            kind = "video" if track is self._media.video else "audio"
            transceiver = connection.addTransceiver(_Recording(track, kind, began), "sendonly")
            known = RTCRtpSender.getCapabilities(kind).codecs
            transceiver.setCodecPreferences(
                [c for c in known if c.mimeType.lower() == f"{kind}/{track.codec}"]
            )
        await connection.setLocalDescription(await connection.createOffer())
        answer = await self._http.post(
            "/whip", params={"call": label}, content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )  # fmt: skip
        answer.raise_for_status()
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        try:
            first = await asyncio.wait_for(began, 15)
            yield Caller(first - PACKET, answer.headers["X-Call-Id"], label)
        finally:
            await self._http.delete(answer.headers["Location"])
            await connection.close()

    @asynccontextmanager
    async def _rtsp(self, label: str) -> AsyncIterator[Caller]:
        """A camera that the service pulls."""
        uri = f"rtsp://127.0.0.1:{self._camera.port}/{label}"
        answer = await self._http.post("/api/v1/sources", json={"uri": uri, "label": label})
        answer.raise_for_status()
        call = answer.json()["id"]
        try:
            yield Caller(await self._camera.began(label) - PACKET, call, label)
        finally:
            await self._http.delete(f"/api/v1/calls/{call}")


class _Recording(MediaStreamTrack):
    """A track of packets that are encoded already."""

    def __init__(self, track: Track, kind: str, began: asyncio.Future[float]) -> None:
        super().__init__()
        self.kind = kind
        self._pieces = track.endless()
        self._began = began
        self._clock = 90_000 if kind == "video" else 48_000

    async def recv(self) -> "av.Packet[Any]":
        """The next packet when it is due; both tracks count from the first one's begin."""
        if self.readyState != "live":
            raise MediaStreamError
        if not self._began.done():
            self._began.set_result(time.monotonic())
        piece = next(self._pieces)
        await asyncio.sleep(self._began.result() + piece.at - time.monotonic())
        packet = av.Packet(piece.data)
        packet.pts, packet.time_base = round(piece.shown * self._clock), Fraction(1, self._clock)
        return packet


async def _talk(writer: asyncio.StreamWriter, track: Track, began: float) -> None:
    payloads = [base64.b64encode(piece.data).decode() for piece in track.pieces]
    chunk = 0
    while not writer.is_closing():
        await asyncio.sleep(began + (chunk + 1) * PACKET - time.monotonic())
        payload = payloads[chunk % len(payloads)]
        writer.write(
            _frame(
                f'{{"event":"media","media":{{"track":"inbound","chunk":"{chunk}",'
                f'"timestamp":"{chunk * 20}","payload":"{payload}"}}}}'
            )
        )
        chunk += 1


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer pings (RFC 6455, section 5.5.2): the service hangs up on who does not for 40 s."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            kind, length = await reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
            payload = await reader.readexactly(length)
            if kind == _PING:
                writer.write(bytes([_PONG, 0x80 | length]) + b"\0\0\0\0" + payload)


def _frame(text: str) -> bytes:
    """A WebSocket text message from a client, its mask all zeros (RFC 6455, section 5.2)."""
    data = text.encode()
    assert 125 < len(data) < 65_536 or len(data) < 126
    length = (
        bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data))
    )
    return b"\x81" + length + b"\0\0\0\0" + data


def _say(**record: Any) -> None:
    print(json.dumps(record), flush=True)


async def _main(url: str, token: str, way: Way, media: Path) -> None:
    callers = Callers(url, token, way, Media.load(media))
    await callers.start()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wanted = json.loads(line)
        try:
            async for caller in callers.become(wanted["calls"], wanted["every"]):
                _say(began=caller.began, call=caller.call, label=caller.label)
        except (httpx.HTTPError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            _say(error=f"{type(error).__name__}: {error}")
        _say(ready=wanted["calls"])


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))  # type: ignore[arg-type]
