"""Pictures by RTP: what is whole comes out as it was sent, and what is not does not."""

from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from monitor.ingest.codecs.video_codec import is_key_frame
from monitor.ingest.codecs.video_payload import picture_format
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame
from monitor.ingest.rtp.assembly import Assembly
from monitor.ingest.rtp.jitter_buffer import RtpPacket

MTU = 400
Payloads = list[list[bytes]]


def encoded(encoder_name: str, count: int = 12) -> list[bytes]:
    """Noise that moves, a key frame every five."""
    encoder = cast(VideoCodecContext, av.CodecContext.create(encoder_name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = 96, 64, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 10), Fraction(10), 5
    encoder.bit_rate = 300_000
    encoder.options = {
        "libx264": {"tune": "zerolatency", "x264-params": "repeat-headers=1:scenecut=0"},
        "libx265": {
            "tune": "zerolatency",
            "x265-params": "repeat-headers=1:scenecut=0:log-level=none",
        },
    }.get(encoder_name, {"deadline": "realtime", "lag-in-frames": "0"})
    chance = np.random.default_rng(3)
    made: list[bytes] = []
    for number in range(count):
        noise = chance.integers(0, 255, (64, 96, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


def units(picture: bytes) -> list[bytes]:
    return [u.rstrip(b"\0") for u in picture.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if u]


def nal(picture: bytes, aggregated: Callable[[list[bytes]], bytes], header: int) -> list[bytes]:
    """Small units together, large ones in fragments (RFC 6184 and RFC 7798)."""
    small = [u for u in units(picture) if len(u) < 100]
    out = [aggregated(small)] if len(small) > 1 else small
    for unit in (u for u in units(picture) if len(u) >= 100):
        if len(unit) <= MTU:
            out.append(unit)
            continue
        if header == 1:
            head, kind = bytes([unit[0] & 0xE0 | 28]), unit[0] & 31
        else:
            head, kind = bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 63
        body = unit[header:]
        for at in range(0, len(body), MTU):
            begin, end = at == 0, at + MTU >= len(body)
            out.append(head + bytes([begin << 7 | end << 6 | kind]) + body[at : at + MTU])
    return out


def sized(found: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2, "big") + unit for unit in found)


def cut(picture: bytes, first: bytes, other: bytes) -> list[bytes]:
    parts = [picture[at : at + MTU] for at in range(0, len(picture), MTU)]
    return [(other if number else first) + part for number, part in enumerate(parts)]


def payloads(name: str, pictures: list[bytes]) -> Payloads:
    if name == "h264":
        return [nal(p, lambda found: b"\x78" + sized(found), 1) for p in pictures]
    if name == "h265":
        return [nal(p, lambda found: b"\x60\1" + sized(found), 2) for p in pictures]
    if name == "vp8":
        # With a picture id of 15 bits, and of the first packet a partition's start.
        return [cut(p, b"\x90\x80\x81\x23", b"\x80\x80\x81\x23") for p in pictures]
    # Of VP9: picture id, layers that are not flexible, and a scalability structure at a key frame.
    key = b"\xaa\x81\x23\0\7" + b"\x18" + bytes(4) + b"\1\4\1"
    return [
        cut(p, key if is_key_frame("vp9", p) else b"\xa8\x81\x23\0\7", b"\xa0\x81\x23\0\7")
        for p in pictures
    ]


class Line:
    """Takes packets to an assembly."""

    def __init__(self, name: str, parameters: str = "") -> None:
        format_ = picture_format(name, parameters)
        assert format_ is not None
        self.frames: list[EncodedFrame] = []
        self.broken = 0
        self.assembly = Assembly({96: format_}, 0.1, self.frames.append, self._break)

    def _break(self) -> None:
        self.broken += 1

    def send(
        self,
        found: Payloads,
        lost: Callable[[int], bool] = lambda number: False,
        marked: bool = True,
        ssrc: int = 1,
        number: int = 65_530,
    ) -> None:
        """From a sequence number just before it wraps around."""
        for place, packets in enumerate(found):
            for at, payload in enumerate(packets):
                number += 1
                if lost(number - 65_530):
                    continue
                last = marked and at == len(packets) - 1
                sent = RtpPacket(
                    ssrc, number & 0xFFFF, place * 9000, 96, payload, place * 0.1 + at * 1e-4, last
                )
                self.assembly.pop(sent.arrived)
                self.assembly.push(sent)
        self.assembly.pop(1e9)


NAMES = {"h264": "libx264", "h265": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9"}


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_pictures_come_out_as_they_were_encoded(name: str, marked: bool) -> None:
    pictures = encoded(NAMES[name])
    line = Line(name)
    line.send(payloads(name, pictures), marked=marked)
    # Without markers only the next picture's first packet says that one is over.
    wanted = pictures if marked else pictures[:-1]
    assert len(line.frames) == len(wanted)
    assert line.broken == line.assembly.unreadable == 0
    for frame, picture in zip(line.frames, wanted, strict=True):
        if name in ("h264", "h265"):
            assert sorted(units(frame.data)) == sorted(units(picture))
        else:
            assert frame.data == picture
    decoder = cast(VideoCodecContext, av.CodecContext.create(line.frames[0].codec, "r"))
    shown: list[object] = []
    for frame in line.frames:
        shown += decoder.decode(av.Packet(frame.data))
    assert len(shown) + len(decoder.decode(None)) == len(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_packet_costs_its_picture_and_is_told(name: str) -> None:
    found = payloads(name, encoded(NAMES[name]))
    sizes = [len(packets) for packets in found]
    # In the middle of the third picture.
    gone = sum(sizes[:2]) + max(1, sizes[2] // 2) + 1
    line = Line(name)
    line.send(found, lambda number: number == gone)
    stamps = [frame.timestamp // 9000 for frame in line.frames]
    assert 2 not in stamps
    assert set(range(2)) | set(range(4, len(found))) <= set(stamps)
    assert line.broken


@pytest.mark.parametrize("name", NAMES)
def test_a_key_frame_after_a_loss_needs_nothing_that_was_before(name: str) -> None:
    pictures = encoded(NAMES[name])
    keys = [n for n, p in enumerate(pictures) if is_key_frame(line_codec(name), p)]
    assert keys[1] > 1
    found = payloads(name, pictures)
    before = sum(len(packets) for packets in found[: keys[1] - 1])
    here = before + len(found[keys[1] - 1])
    line = Line(name)
    line.send(found, lambda number: before < number <= here)
    stamps = [frame.timestamp // 9000 for frame in line.frames]
    assert stamps == [n for n in range(len(found)) if n != keys[1] - 1]
    assert line.broken


def line_codec(name: str) -> str:
    format_ = picture_format(name)
    assert format_ is not None
    return format_.codec


def test_another_stream_of_lower_numbers_goes_on() -> None:
    found = payloads("h264", encoded("libx264"))
    line = Line("h264")
    line.send(found)
    line.send(found, ssrc=2, number=7)
    assert len(line.frames) == 2 * len(found)
    assert {frame.ssrc for frame in line.frames} == {1, 2}


def test_parameter_sets_of_the_description_come_before_key_frames() -> None:
    pictures = encoded("libx264")
    bare = [[u for u in units(p) if u[0] & 31 not in (7, 8)] for p in pictures]
    joined = [b"".join(b"\0\0\0\1" + u for u in found) for found in bare]
    line = Line(
        "h264", "packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aM4"
    )
    line.send(payloads("h264", joined))
    with_sets = [7 in [u[0] & 31 for u in units(frame.data)] for frame in line.frames]
    assert with_sets == [is_key_frame("h264", picture) for picture in pictures]


def test_packets_that_cannot_be_read_are_counted() -> None:
    line = Line("h265")
    line.send([[b"\x64\1\0"], [b"\x60\1\0\x09\x40\1"], [b"\x40"], [b""]])
    assert (line.frames, line.assembly.unreadable) == ([], 3)
