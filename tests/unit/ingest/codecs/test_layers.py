"""VP9 and AV1 out of RTP: what encoders made comes out as decoders take it."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from monitor.ingest.codecs.layers import begins_sequence, kept, picture
from monitor.ingest.codecs.video_codec import decoder, is_key_frame

MOST = 10_000_000


def encoded(name: str, count: int = 6, width: int = 320, height: int = 240) -> list[bytes]:
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.gop_size = Fraction(1, 30), 100
    if name == "libvpx-vp9":
        encoder.options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    else:
        encoder.options = {"preset": "12", "svtav1-params": "pred-struct=1:lp=1"}
    made: list[bytes] = []
    for index in range(count):
        shade = (np.add.outer(np.arange(height), np.arange(width)) + 9 * index) % 256
        image = shade.astype(np.uint8)[..., None].repeat(3, 2)
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 30)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made + [bytes(packet) for packet in encoder.encode(None)]


def number(data: bytes, at: int) -> tuple[int, int]:
    value = place = 0
    while True:
        value |= (data[at] & 0x7F) << place
        at, place = at + 1, place + 7
        if not data[at - 1] & 0x80:
            return value, at


def units(unit: bytes) -> Iterator[bytes]:
    """OBUs without their sizes, as RTP carries them; a delimiter is left out."""
    at = 0
    while at < len(unit):
        head, size_at = unit[at], at + 1 + bool(unit[at] & 4)
        size, body = number(unit, size_at)
        if head >> 3 & 15 != 2:
            yield bytes([head & ~2]) + unit[at + 1 : size_at] + unit[body : body + size]
        at = body + size


def leb128(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def av1_packets(data: bytes, most: int, counted: bool) -> list[bytes]:
    """A packetizer of our own: small packets, so that elements go on from one to the next."""
    packets: list[bytes] = []
    for element in units(data):
        pieces = [element[i : i + most] for i in range(0, len(element), most)]
        for place, piece in enumerate(pieces):
            head = (place > 0) << 7 | (place < len(pieces) - 1) << 6 | counted << 4
            packets.append(bytes([head]) + (piece if counted else leb128(len(piece)) + piece))
    return packets


@pytest.mark.parametrize("most", [60, 5000])
@pytest.mark.parametrize("counted", [True, False])
def test_av1_is_decoded_as_it_was_made(most: int, counted: bool) -> None:
    made = decoder("av1", MOST)
    shown = 0
    for index, data in enumerate(encoded("libsvtav1")):
        joined = b"".join(map(kept, av1_packets(data, most, counted)))
        whole = picture("av1", joined)
        assert is_key_frame("av1", whole) == (index == 0)
        shown += sum((f.width, f.height) == (320, 240) for f in made.decode(av.Packet(whole)))
    shown += len(made.decode(None))
    assert shown == 6


def test_a_part_of_an_obu_is_no_picture() -> None:
    packets = av1_packets(encoded("libsvtav1", 1)[0], 60, True)
    assert len(packets) > 3
    for left_out in (0, len(packets) - 1):
        rest = packets[:left_out] + packets[left_out + 1 :]
        joined = b"".join(map(kept, rest))
        if left_out == 0 and packets[0][0] & 0x40 == 0:
            # A whole OBU is missing: a picture, but none to begin with.
            assert not begins_sequence(picture("av1", joined))
            continue
        with pytest.raises(ValueError, match="OBU"):
            picture("av1", joined)
    for odd in (b"", b"\x00", b"\x10", b"\x00\xff\xff", b"\x20\x05\x01"):
        with pytest.raises(ValueError):  # noqa: PT011
            picture("av1", kept(odd))


def test_vp9_is_decoded_as_it_was_made() -> None:
    made = decoder("vp9", MOST)
    shown = 0
    for index, data in enumerate(encoded("libvpx-vp9")):
        half = len(data) // 2
        # Without any optional field the descriptor is one byte; here a 7-bit picture id follows.
        parts = (b"\x88\x01" + data[:half], b"\x84\x01" + data[half:])
        whole = picture("vp9", b"".join(map(kept, parts)))
        assert whole == data
        assert is_key_frame("vp9", whole) == (index == 0)
        shown += len(made.decode(av.Packet(whole)))
    assert shown == 6


def test_of_two_layers_of_one_moment_the_larger_is_shown() -> None:
    small, large = encoded("libvpx-vp9", 1, 160, 120)[0], encoded("libvpx-vp9", 1)[0]
    joined = kept(b"\x8c\x01" + small) + kept(b"\x8c\x01" + large)
    (shown,) = decoder("vp9", MOST).decode(av.Packet(picture("vp9", joined)))
    assert (shown.width, shown.height) == (320, 240)
