"""Packets of sound → the frames that decoders take, held against real encoders where there are."""

from typing import cast

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from monitor.ingest.codecs.audio_payload import SoundFormat, sound_format

AAC = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408"


def known(name: str, rate: int = 0, channels: int = 1, parameters: str = "") -> SoundFormat:
    found = sound_format(name, rate, channels, parameters)
    assert found is not None
    return found


def encoded(codec: str, rate: int, samples: int, count: int, bit_rate: int = 0) -> list[bytes]:
    """A tone of 300 Hz."""
    encoder = cast(AudioCodecContext, av.CodecContext.create(codec, "w"))
    encoder.sample_rate, encoder.layout = rate, "mono"
    encoder.format = "fltp" if codec == "aac" else "s16"
    if bit_rate:
        encoder.bit_rate = bit_rate
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(samples * count) / rate)
    pcm = tone.astype(np.float32) if codec == "aac" else (tone * 32767).astype("<i2")
    out: list[bytes] = []
    for at in range(0, len(pcm), samples):
        frame = av.AudioFrame.from_ndarray(
            pcm[None, at : at + samples], encoder.format.name, "mono"
        )
        frame.sample_rate, frame.pts = rate, at
        out += [bytes(packet) for packet in encoder.encode(frame)]
    return out


def joined(frames: list[bytes], aligned: bool) -> bytes:
    """One packet of AMR frames as files have them (RFC 4867, written by bits)."""
    bits = "1111" + ("0000" if aligned else "")
    for number, frame in enumerate(frames):
        more = number < len(frames) - 1
        bits += f"{int(more)}{frame[0] >> 3 & 15:04b}{frame[0] >> 2 & 1}" + ("00" * aligned)
    sizes = {7: 244, 0: 95, 8: 39, 15: 0}
    for frame in frames:
        size = sizes[frame[0] >> 3 & 15]
        speech = "".join(f"{byte:08b}" for byte in frame[1:])
        bits += speech if aligned else speech[:size]
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("bit_rate", [12_200, 4_750])
def test_amr_comes_out_as_the_encoder_wrote_it(aligned: bool, bit_rate: int) -> None:
    frames = encoded("libopencore_amrnb", 8_000, 160, 12, bit_rate)
    format_ = known("AMR", 8_000, 1, "octet-align=1" if aligned else "mode-set=7")
    for count in (1, 3):
        packet = joined(frames[:count], aligned)
        assert format_.unpack(packet) == frames[:count]
    # Silence described, and nothing at all.
    pause = [bytes([8 << 3 | 4]) + bytes(5), bytes([15 << 3 | 4])]
    assert format_.unpack(joined(pause, aligned)) == pause


@pytest.mark.parametrize("packet", [b"", b"\xf0", b"\xf0\x3c" + bytes(20), b"\xf0\x64" + bytes(9)])
def test_amr_that_is_not_whole_is_no_sound(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"whole|reserved|more than"):
        known("AMR", 8_000, 1, "octet-align=1").unpack(packet)


def test_access_units_of_aac_are_taken_apart() -> None:
    units = encoded("aac", 16_000, 1024, 6)
    assert len(units) > 3
    heads = b"".join((len(unit) << 3).to_bytes(2, "big") for unit in units[:3])
    packet = (16 * 3).to_bytes(2, "big") + heads + b"".join(units[:3])
    format_ = known("mpeg4-generic", 16_000, 1, AAC)
    assert format_.unpack(packet) == units[:3]
    for broken in (packet[:-1], b"\0\0", b"\0", b"\0\x0f\1\2", b"\0\x10\0\0"):
        with pytest.raises(ValueError, match=r"AU headers|not whole"):
            format_.unpack(broken)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "parameters"),
    [
        ("speex", 8_000, 1, ""),
        ("AMR", 8_000, 2, "octet-align=1"),
        ("AMR", 8_000, 1, "octet-align=1; interleaving=30"),
        ("mpeg4-generic", 16_000, 1, ""),
        ("mpeg4-generic", 16_000, 1, AAC.replace("1408", "14")),
        ("mpeg4-generic", 16_000, 6, AAC),
        ("L16", 16_000, 8, ""),
        ("L16", 999_999, 1, ""),
    ],
)
def test_what_would_be_misread_is_not_taken(
    name: str, rate: int, channels: int, parameters: str
) -> None:
    assert sound_format(name, rate, channels, parameters) is None


def test_equal_descriptions_are_one_format() -> None:
    assert known("PCMU", 8_000) == known("pcmu")
    assert known("AMR", 8_000) != known("AMR", 8_000, 1, "octet-align=1")
