"""What arrived comes out of the file again, byte for byte, at its time."""

import io

import av
import pytest

from monitor.evidence.matroska import Clip, remux
from monitor.evidence.parameters import nal_units
from monitor.types.packet import AS_ARRIVED, EncodedPacket, Encoding
from tests.unit.evidence.media import frames, mixed, pictures, sound

AUDIO = ("opus", "pcm_mulaw", "pcm_alaw", "g722", "g729", "pcm_s16le", "pcm_s16be", "aac")
VIDEO = ("h264", "hevc", "vp8", "vp9", "mjpeg")


def clip(packets: list[EncodedPacket]) -> Clip:
    made = remux(packets)
    assert made is not None
    return made


def packets_of(data: bytes, kind: str) -> list[tuple[float, bytes]]:
    with av.open(io.BytesIO(data), "r") as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (float(p.pts * p.time_base), bytes(p))
            for p in container.demux(stream)
            if p.size and p.pts is not None and p.time_base is not None
        ]


@pytest.mark.parametrize("codec", AUDIO)
def test_sound_is_the_same_bytes_in_another_wrapping(codec: str) -> None:
    sent = sound(codec, 2.0, start=100.0)
    made = clip(sent)
    found = packets_of(made.data, "audio")
    assert b"".join(payload for _, payload in found) == b"".join(p.payload for p in sent)
    assert made.start == 100.0
    assert made.end == pytest.approx(sent[-1].time + sent[-1].duration)
    for (at, _), packet in zip(found, sent, strict=True):
        assert at == pytest.approx(packet.time - 100.0, abs=0.002)
    assert frames(made.data, "audio") >= len(sent) - 2


@pytest.mark.parametrize("codec", VIDEO)
def test_pictures_are_decodable_and_as_large_as_they_were(codec: str) -> None:
    sent = pictures(codec, 2.0, start=7.0, size=(320, 240))
    made = clip(sent)
    assert frames(made.data, "video") == len(sent)
    found = packets_of(made.data, "video")
    for (at, payload), packet in zip(found, sent, strict=True):
        assert at == pytest.approx(packet.time - 7.0, abs=0.002)
        if codec in ("h264", "hevc"):
            units = list(nal_units(packet.payload))
            assert payload == b"".join(len(u).to_bytes(4, "big") + u for u in units)
        else:
            assert payload == packet.payload
    with av.open(io.BytesIO(made.data), "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (320, 240)
    if codec in ("h264", "vp8", "mjpeg"):
        assert (made.tracks[0].width, made.tracks[0].height) == (320, 240)


def test_every_codec_that_sources_hand_over_is_tried_above() -> None:
    # mp3 is only ever a camera's; PyAV's build has no encoder for it that makes bare frames.
    assert {*AUDIO, *VIDEO, "mp3"} == AS_ARRIVED


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (426, 240)])
def test_the_size_of_an_h264_picture_is_read_from_its_parameter_set(size: tuple[int, int]) -> None:
    (track,) = clip(pictures("h264", 0.2, size=size)).tracks
    assert (track.width, track.height) == size


def test_sound_and_pictures_stay_together_and_a_hole_stays_a_hole() -> None:
    sent = mixed(
        [*sound("opus", 2.0), *sound("opus", 2.0, start=12.0)],
        [*pictures("vp8", 2.0), *pictures("vp8", 2.0, start=12.0)],
    )
    made = clip(sent)
    assert made.end - made.start == pytest.approx(14.0, abs=0.11)
    for kind in ("audio", "video"):
        times = [at for at, _ in packets_of(made.data, kind)]
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) == pytest.approx(
            10.0, abs=0.15
        )


def test_pictures_that_no_key_frame_precedes_are_left_out() -> None:
    sent = pictures("vp8", 2.0, group=10)
    assert packets_of(clip(sent[5:]).data, "video")[0][1] == sent[10].payload
    assert remux(sent[5:9]) is None


def test_what_cannot_be_stored_is_named_and_costs_nothing_else() -> None:
    strange = EncodedPacket("remote", Encoding("audio", "g726le", 8000, 1), b"x", 0.0, 0.02, True)
    bare = EncodedPacket("remote", Encoding("video", "h264"), b"\0\0\1\x65abc", 0.0, 0.0, True)
    made = clip([strange, bare, *sound("opus", 1.0)])
    assert [t.codec for t in made.tracks] == ["opus"]
    assert [words.split(":")[0] for words in made.left_out] == ["g726le", "h264"]


def test_a_source_that_changes_its_codec_gets_another_track() -> None:
    made = clip([*sound("opus", 1.0), *sound("pcm_mulaw", 1.0, start=1.0)])
    assert [t.codec for t in made.tracks] == ["opus", "pcm_mulaw"]


def test_nothing_makes_no_file() -> None:
    assert remux([]) is None
