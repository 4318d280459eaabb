"""RTP by UDP to a port that a description names: what senders change in the middle of a call."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction

import av
import numpy as np
import pytest

from monitor.ingest.rtp.rtp_source import RtpOptions, RtpSource
from monitor.ingest.rtp.sdp import read_description
from monitor.types import SAMPLE_RATE, LostReason, Tracks
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling
from tests.flow.webrtc import MemoryIntake

SOUND = (
    "v=0\nm=audio {port} RTP/AVP 0 13 101 96\na=rtpmap:101 telephone-event/8000\n"
    "a=rtpmap:96 L16/8000\n"
)
PICTURES = "m=video {next} RTP/AVP 97\na=rtpmap:97 H264/90000\n"
TONE = (np.sin(2 * np.pi * 500 * np.arange(160) / 8_000) * 20_000).astype(">i2").tobytes()
LOUD_ULAW, LOUD_L16 = b"\x90" * 80 + b"\x10" * 80, TONE
PCMU, L16, NOISE, KEYS = 0, 96, 13, 101
RATE = 8_000


def free_ports(count: int = 4) -> int:
    """The first of some UDP ports that are free."""
    for number in range(30_000, 60_000, count):
        made: list[socket.socket] = []
        try:
            for port in range(number, number + count):
                made.append(socket.socket(type=socket.SOCK_DGRAM))
                made[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in made:
                one.close()
        return number
    raise AssertionError("no free ports")


def source_at(port: int, pictures: bool = False, **options: float) -> RtpSource:
    text = (SOUND + PICTURES * pictures).format(port=port, next=port + 2)
    description = read_description(text, (1024, 65_534))
    found = RtpOptions(**options)  # type: ignore[arg-type]
    return RtpSource(description, "remote", Sampling.steady(10), 640, found)


@asynccontextmanager
async def running(source: RtpSource, intake: MemoryIntake) -> AsyncIterator[None]:
    task = asyncio.create_task(source.run(intake))
    try:
        while not intake.media:
            assert not task.done(), task.result()
            await asyncio.sleep(0.01)
        assert intake.media == [Tracks("remote", True, source._assembly is not None)]
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def rtp(
    kind: int, number: int, stamp: int, ssrc: int, payload: bytes, marker: bool = False
) -> bytes:
    head = struct.pack(">BBHII", 0x80, marker << 7 | kind, number & 0xFFFF, stamp, ssrc)
    return head + payload


async def paced(port: int, packets: Iterator[tuple[int, bytes]], step: float = 0.02) -> None:
    """Send each packet of (place in time, datagram) when its time has come."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for place, datagram in packets:
            await asyncio.sleep(began + place * step - loop.time())
            sock.sendto(datagram, ("127.0.0.1", port))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def loud_seconds(intake: MemoryIntake) -> float:
    """Seconds of what was sent loud; a sender that is late leaves silence between."""
    nothing = np.zeros(0, np.float32)
    samples = np.concatenate([nothing, *(frame.samples for frame in intake.audio)])
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return float((np.abs(blocks).max(axis=1) > 0.1).sum()) * 160 / SAMPLE_RATE


def a_call() -> Iterator[tuple[int, bytes]]:
    """Three seconds: key presses and comfort noise between, another codec, another stream."""
    number = 65_500
    for place in range(50):
        stamp = 4_000_000_000 + place * 160
        number += 1
        yield place, rtp(PCMU, number, stamp, 1, LOUD_ULAW)
        if place % 10 == 5:
            number += 1
            beside = (NOISE, b"\x40") if place % 20 == 5 else (KEYS, b"\1\x8a\0\xa0")
            yield place, rtp(beside[0], number, stamp, 1, beside[1])
    for place in range(50, 100):
        number += 1
        yield place, rtp(L16, number, 4_000_000_000 + place * 160, 1, LOUD_L16)
    for place in range(100, 150):
        yield place, rtp(PCMU, 7 + place, 55 + place * 160, 2, LOUD_ULAW)


async def test_what_a_sender_changes_in_the_middle_costs_no_sound() -> None:
    port, intake = free_ports(), MemoryIntake()
    async with running(source_at(port), intake):
        await paced(port, a_call())
        await until(lambda: loud_seconds(intake) > 2.7)
    assert loud_seconds(intake) < 3.1
    assert [gap for gap in intake.gaps if gap.reason is not LostReason.IDLE] == []


def pictures(count: int) -> list[bytes]:
    """Grey ones, white once a second; small enough for a packet of one NAL unit each."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 10), Fraction(10), 10
    encoder.options = {"tune": "zerolatency", "x264-params": "repeat-headers=1:sliced-threads=0"}
    made: list[bytes] = []
    for number in range(count):
        shade = np.full((48, 64, 3), 235 if number % 10 == 5 else 60, np.uint8)
        frame = av.VideoFrame.from_ndarray(shade, "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


async def test_sound_and_pictures_lie_where_the_reports_say() -> None:
    port, intake = free_ports(), MemoryIntake()
    coded = pictures(70)

    def report(ssrc: int, seconds: float, stamp: int) -> bytes:
        ntp = int(seconds * 2**32)
        return struct.pack(">BBHIQIII", 0x80, 200, 6, ssrc, ntp, stamp, 1, 1)

    def sound() -> Iterator[tuple[int, bytes]]:
        for place in range(350):
            # Loud for a tenth of a second, at the moment of each white picture.
            loud = place % 50 in range(25, 30)
            payload = LOUD_ULAW if loud else b"\xff" * 160
            yield place, rtp(PCMU, place, place * 160, 1, payload)

    def seen() -> Iterator[tuple[int, bytes]]:
        number = 0
        for place, picture in enumerate(coded):
            # The camera's pictures come 0.3 s later than their sound.
            units = [
                u.rstrip(b"\0") for u in picture.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
            ]
            units = [unit for unit in units if unit]
            for unit in units:
                number += 1
                datagram = rtp(97, number, 90_000 + place * 9000, 9, unit, unit is units[-1])
                yield place * 5 + 15, datagram

    def reports() -> Iterator[tuple[int, bytes]]:
        for place in range(10, 365, 20):
            yield place, report(1, 5000 + place * 0.02, place * 160)

    def picture_reports() -> Iterator[tuple[int, bytes]]:
        for place in range(20, 365, 20):
            yield place, report(9, 5000 + place * 0.02, 90_000 + place * 1800)

    async with running(source_at(port, pictures=True), intake):
        await asyncio.gather(
            paced(port, sound()),
            paced(port + 1, reports()),
            paced(port + 2, seen()),
            paced(port + 3, picture_reports()),
        )
        await until(lambda: any(frame.time > 6.0 for frame in intake.video))
    # Three seconds of comparing come first.
    white = [f.time for f in intake.video if f.image.mean() > 150 and 4.5 < f.time < 6.0]
    assert white
    loud = [
        frame.start + at / SAMPLE_RATE
        for frame in intake.audio
        for at in np.flatnonzero(np.abs(frame.samples) > 0.1)[:1]
    ]
    # By arrival they would lie 0.3 s apart.
    nearest = min(abs(loud_at - white[-1]) for loud_at in loud)
    assert nearest < 0.2, (white, loud)


async def test_a_port_that_is_taken_and_nobody_who_sends_are_told() -> None:
    port = free_ports()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port + 1))
        with pytest.raises(SourceError, match=f"UDP port {port}") as taken:
            await source_at(port).run(MemoryIntake())
    assert taken.value.reason == "in_use"
    with pytest.raises(SourceError, match="no packet in time") as silent:
        await source_at(port, open_timeout=0.2, give_up_after=0.4).run(MemoryIntake())
    assert silent.value.reason == "no_media"


async def test_a_sender_that_is_gone_ends_the_call_after_a_while_and_may_come_back_before() -> None:
    port, intake = free_ports(), MemoryIntake()
    source = source_at(port, read_timeout=0.2, give_up_after=5.0)
    task = asyncio.create_task(source.run(intake))
    await until(lambda: bool(intake.media))
    await paced(port, ((n, rtp(PCMU, n, n * 160, 1, LOUD_ULAW)) for n in range(25)))
    await until(lambda: loud_seconds(intake) > 0.2)
    await asyncio.sleep(0.5)
    assert not task.done()
    await paced(port, ((n, rtp(PCMU, n, n * 160, 2, LOUD_ULAW)) for n in range(25)))
    await until(lambda: loud_seconds(intake) > 0.7)
    assert await asyncio.wait_for(task, 60) == "gone"
