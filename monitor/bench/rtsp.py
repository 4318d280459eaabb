"""A camera of one film for many viewers: RTSP (RFC 7826's older form, RFC 2326) inside TCP.

Only what a player needs: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN. Nothing is
encoded here: every viewer gets the same packets, with numbers of its own.
"""

import asyncio
import base64
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from monitor.bench.media import Media, Track

_MTU = 1400
"""Bytes of an RTP payload at most."""
_CLOCKS = {"pcmu": 8_000, "opus": 48_000, "h264": 90_000}
_TYPES = {"pcmu": 0, "opus": 97, "h264": 96}
_NTP = 2_208_988_800
"""Seconds from 1900 to 1970."""
_START_CODE = re.compile(rb"\0\0\0?\x01")


@dataclass(frozen=True, slots=True)
class _Burst:
    """The packets of one piece, without headers."""

    at: float
    shown: float
    payloads: tuple[bytes, ...]


class Camera:
    """Serves rtsp://127.0.0.1:PORT/NAME for any name; `began` knows when each is played."""

    def __init__(self, media: Media) -> None:
        self._tracks = [t for t in (media.video, media.audio) if t is not None]
        self._bursts = [
            tuple(_Burst(p.at, p.shown, tuple(_payloads(t, p.data))) for p in t.pieces)
            for t in self._tracks
        ]
        self._began: dict[str, asyncio.Future[float]] = {}
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def began(self, name: str) -> float:
        """Wait until NAME is played; return the monotonic second of its first packet."""
        return await self._start(name)

    def _start(self, name: str) -> asyncio.Future[float]:
        if name not in self._began:
            self._began[name] = asyncio.get_running_loop().create_future()
        return self._began[name]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        try:
            while (request := await _request(reader)) is not None:
                method, url, number = request
                extra, body = "", ""
                if method == "OPTIONS":
                    extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n"
                elif method == "DESCRIBE":
                    body = self._description()
                    extra = "Content-Type: application/sdp\r\n"
                elif method == "SETUP":
                    channel = 2 * int(url.rpartition("=")[2])
                    extra = (
                        f"Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}\r\n"
                    )
                extra += "" if method == "OPTIONS" else "Session: 1\r\n"
                writer.write(
                    f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra}"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(_name(url), writer))
                elif method == "TEARDOWN":
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
            writer.close()

    def _description(self) -> str:
        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=bench", "t=0 0"]
        for number, track in enumerate(self._tracks):
            kind = "video" if track.codec == "h264" else "audio"
            payload, clock = _TYPES[track.codec], _CLOCKS[track.codec]
            name = {"opus": "opus", "pcmu": "PCMU", "h264": "H264"}[track.codec]
            channels = "/2" if track.codec == "opus" else ""
            lines.append(f"m={kind} 0 RTP/AVP {payload}")
            lines.append(f"a=rtpmap:{payload} {name}/{clock}{channels}")
            if kind == "video":
                sets = ",".join(
                    base64.b64encode(unit).decode()
                    for unit in _units(track.pieces[0].data)
                    if unit[0] & 0x1F in (7, 8)
                )
                lines.append(f"a=fmtp:{payload} packetization-mode=1;sprop-parameter-sets={sets}")
            lines.append(f"a=control:track={number}")
        return "\r\n".join(lines) + "\r\n"

    async def _play(self, name: str, writer: asyncio.StreamWriter) -> None:
        numbers = [0] * len(self._tracks)
        began = time.monotonic()
        now = time.time() + _NTP
        for index in range(len(self._tracks)):
            # A sender report: both tracks begin at timestamp 0, now.
            report = struct.pack("!BBHIQIII", 0x80, 200, 6, index, int(now * 2**32), 0, 0, 0)
            writer.write(struct.pack("!cBH", b"$", 2 * index + 1, len(report)) + report)
        ahead = [_endless(b, t.seconds) for b, t in zip(self._bursts, self._tracks, strict=True)]
        waiting = [next(each) for each in ahead]
        self._start(name).set_result(began)
        while not writer.is_closing():
            index = min(range(len(waiting)), key=lambda i: waiting[i].at)
            burst = waiting[index]
            delay = began + burst.at - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            codec = self._tracks[index].codec
            stamp = round(burst.shown * _CLOCKS[codec]) & 0xFFFFFFFF
            for place, payload in enumerate(burst.payloads, 1):
                last = 0x80 if codec == "h264" and place == len(burst.payloads) else 0
                header = struct.pack(
                    "!cBHBBHII", b"$", 2 * index, len(payload) + 12,
                    0x80, _TYPES[codec] | last, numbers[index] & 0xFFFF, stamp, index,
                )  # fmt: skip
                numbers[index] += 1
                writer.write(header + payload)
            await writer.drain()
            waiting[index] = next(ahead[index])


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, str] | None:
    """Method, URL and CSeq; passes over what a viewer reports of reception."""
    while True:
        first = await reader.read(1)
        if not first:
            return None
        if first == b"$":
            _, length = struct.unpack("!BH", await reader.readexactly(3))
            await reader.readexactly(length)
            continue
        text = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        head, *lines = text.split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        if int(fields.get("content-length", "0")):
            await reader.readexactly(int(fields["content-length"]))
        method, url, _ = head.split(" ", 2)
        return method, url, fields.get("cseq", "0")


def _name(url: str) -> str:
    return url.split("//", 1)[-1].partition("/")[2].strip("/")


def _endless(bursts: tuple[_Burst, ...], seconds: float) -> Iterator[_Burst]:
    base = 0.0
    while True:
        for burst in bursts:
            yield _Burst(base + burst.at, base + burst.shown, burst.payloads)
        base += seconds


def _units(data: bytes) -> list[bytes]:
    """NAL units of an H.264 picture with start codes."""
    return [unit for unit in _START_CODE.split(data) if unit]


def _payloads(track: Track, data: bytes) -> Iterator[bytes]:
    """RTP payloads of a piece: RFC 6184 for H.264, whole for sound."""
    if track.codec != "h264":
        yield data
        return
    for unit in _units(data):
        if len(unit) <= _MTU:
            yield unit
            continue
        indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
        parts = [unit[i : i + _MTU] for i in range(1, len(unit), _MTU)]
        for place, part in enumerate(parts):
            begin = 0x80 if place == 0 else 0
            end = 0x40 if place == len(parts) - 1 else 0
            yield bytes((indicator, begin | end | kind)) + part
