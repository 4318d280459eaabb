"""Demuxed packets are kept as they came; what Matroska cannot hold is encoded small."""

from pathlib import Path

import av
import numpy as np
import pytest

from monitor.evidence.matroska import remux
from monitor.ingest.codecs.lowrate import LowRatePictures, LowRateSound
from monitor.ingest.pull.packet_tap import PacketTap
from monitor.types import AudioFrame, Image, VideoFrame
from monitor.types.packet import EncodedPacket
from tests.fakes import noise
from tests.unit.evidence.media import frames, mixed, pictures, sound


def picture(at: float, side: tuple[int, int] = (721, 1281)) -> VideoFrame:
    image: Image = np.full((*side, 3), 90, np.uint8)
    return VideoFrame("remote", at, image)


def write_silence(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])


def test_a_demuxer_s_packets_are_kept_as_they_came(tmp_path: Path) -> None:
    made = remux(mixed(sound("opus", 2.0), pictures("h264", 2.0)))
    assert made is not None
    path = tmp_path / "camera.mkv"
    path.write_bytes(made.data)
    kept: list[EncodedPacket] = []
    with av.open(str(path), "r") as container:
        tape = PacketTap("remote", kept.append, [*container.streams])
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                tape.packet(
                    packet,
                    float(packet.pts * packet.time_base),
                    float((packet.duration or 0) * packet.time_base),
                )
        tape.frame(noise(0.0, 1.0, 0.1))
        tape.frame(picture(0.0))
    again = remux(kept)
    assert again is not None
    assert [t.codec for t in again.tracks] == ["opus", "h264"]
    assert all(t.native for t in again.tracks)
    assert frames(again.data, "audio") == frames(made.data, "audio")
    assert frames(again.data, "video") == 20


@pytest.mark.parametrize(("codec", "suffix"), [("adpcm_ima_wav", "wav"), ("flac", "flac")])
def test_what_cannot_be_kept_is_encoded_small(tmp_path: Path, codec: str, suffix: str) -> None:
    path = tmp_path / f"camera.{suffix}"
    write_silence(path, codec)
    kept: list[EncodedPacket] = []
    with av.open(str(path), "r") as container:
        tape = PacketTap("remote", kept.append, [*container.streams])
        for packet in container.demux():
            if packet.size:
                tape.packet(packet, 0.0, 0.0)
        assert kept == []
        tape.frame(noise(3.0, 1.0, 0.1))
    made = remux(kept)
    assert made is not None
    (track,) = made.tracks
    assert (track.codec, track.native) == ("opus", False)
    assert made.start == 3.0


def test_small_sound_keeps_its_time_and_its_holes() -> None:
    kept: list[EncodedPacket] = []
    encoder = LowRateSound(kept.append)
    for start in (5.0, 5.5, 9.0):
        encoder.take(noise(start, 0.5, 0.1))
    made = remux(kept)
    assert made is not None
    assert made.start == 5.0
    assert made.end == pytest.approx(9.5, abs=0.05)
    steps = np.diff([p.time for p in kept])
    assert (steps > 3).sum() == 1
    assert sum(len(p.payload) for p in kept) < 1.5 * 5000
    assert frames(made.data, "audio") >= 70


def test_small_pictures_are_few_and_small() -> None:
    kept: list[EncodedPacket] = []
    encoder = LowRatePictures(kept.append)
    for tenth in range(50):
        encoder.take(picture(tenth / 10))
    assert [p.time for p in kept] == pytest.approx([0, 1, 2, 3, 4])
    made = remux(kept)
    assert made is not None
    assert (made.tracks[0].height, made.tracks[0].width) == (360, 640)
    assert frames(made.data, "video") == 5


def test_what_cannot_be_encoded_costs_evidence_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(self: LowRateSound, frame: AudioFrame) -> None:
        raise ValueError("broken on purpose")

    monkeypatch.setattr(LowRateSound, "take", broken)
    path = tmp_path / "camera.flac"
    write_silence(path, "flac")
    kept: list[EncodedPacket] = []
    with av.open(str(path), "r") as container:
        tape = PacketTap("remote", kept.append, [*container.streams])
        for _ in range(3):
            tape.frame(noise(0.0, 1.0, 0.1))
    assert kept == []
