"""What is heard of a recording's channels and sound tracks, and as whom."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Stream

from monitor.ingest.recording.file_source import FileSource
from monitor.metrics.sink import Metrics
from monitor.offline.calibrate import genuine_calls, hear
from monitor.types import SAMPLE_RATE, AudioFrame, ChannelChoice, Gap, Tracks, VideoFrame
from monitor.types.sampling import Sampling
from tests.fakes import stages
from tests.flow.test_file_source import Collector
from tests.recordings import Sound, humming

SECONDS = 4
ONE, OTHER = humming(SECONDS, 1), humming(SECONDS, 5)[::-1].copy()


def tracked(path: Path, *tracks: Sequence[Sound], pictures: bool = False) -> Path:
    """A Matroska file of PCM with so many sound tracks, each of some channels."""
    packets: list[av.Packet[Stream]] = []
    with av.open(str(path), "w", format="matroska") as out:
        video = None
        if pictures:
            video = out.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for channels in tracks:
            sound = out.add_stream("pcm_s16le", rate=SAMPLE_RATE)
            sound.layout = (
                f"{len(channels)}c" if len(channels) > 2 else ("mono", "stereo")[len(channels) - 1]
            )
            data = (np.stack(channels, 1) * 32767).astype("<i2")
            for at in range(0, len(data), 1600):
                piece = np.ascontiguousarray(data[at : at + 1600]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(piece, "s16", sound.layout.name)
                frame.sample_rate, frame.pts = SAMPLE_RATE, at
                frame.time_base = Fraction(1, SAMPLE_RATE)
                packets += sound.encode(frame)
            packets += sound.encode(None)
        if video is not None:
            for number in range(SECONDS * 10):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 10)
                packets += video.encode(picture)
            packets += video.encode(None)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            out.mux(packet)
    return path


async def replayed(path: Path, choice: ChannelChoice = ChannelChoice.MIX) -> tuple[str, Collector]:
    intake = Collector()
    source = FileSource(path, "remote", Sampling.steady(5), 640, channels=choice)
    return await source.run(intake), intake


def heard(intake: Collector) -> dict[str, Sound]:
    found: dict[str, list[Sound]] = {}
    for media in intake.media:
        if isinstance(media, AudioFrame):
            found.setdefault(media.participant, []).append(media.samples)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def like(one: Sound, other: Sound) -> float:
    """Correlation."""
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ChannelChoice.SPLIT, {"remote left": ONE, "remote right": OTHER}),
        (ChannelChoice.LEFT, {"remote": ONE}),
        (ChannelChoice.RIGHT, {"remote": OTHER}),
        (ChannelChoice.MIX, {"remote": (ONE + OTHER) / 2}),
    ],
)
async def test_each_choice_is_heard_as_it_says(
    tmp_path: Path, choice: ChannelChoice, wanted: dict[str, Sound]
) -> None:
    path = tracked(tmp_path / "call.mkv", [ONE, OTHER], pictures=True)
    ended, intake = await replayed(path, choice)
    found = heard(intake)
    assert ended == "ended"
    assert found.keys() == wanted.keys()
    for name, sound in wanted.items():
        assert len(found[name]) == pytest.approx(SECONDS * SAMPLE_RATE, abs=100)
        assert like(found[name], sound) > 0.99
    tracks = {m.participant: (m.audio, m.video) for m in intake.media if isinstance(m, Tracks)}
    # Nobody can tell whose the pictures are: they are the first one's.
    first, *others = wanted
    assert tracks == {first: (True, True)} | {name: (True, False) for name in others}
    assert {m.participant for m in intake.media if isinstance(m, VideoFrame)} == {first}
    assert any("mixed" in r for r in intake.remarks) == (choice is ChannelChoice.MIX)


@pytest.mark.parametrize("choice", ChannelChoice)
async def test_of_one_channel_every_choice_is_that_one(
    tmp_path: Path, choice: ChannelChoice
) -> None:
    _, intake = await replayed(tracked(tmp_path / "mono.mkv", [ONE]), choice)
    ((name, sound),) = heard(intake).items()
    assert name == "remote"
    assert like(sound, ONE) > 0.99


async def test_three_channels_are_three_people(tmp_path: Path) -> None:
    path = tracked(tmp_path / "three.mkv", [np.zeros_like(ONE), ONE, OTHER])
    _, intake = await replayed(path, ChannelChoice.SPLIT)
    found = heard(intake)
    assert list(found) == ["remote channel 1", "remote channel 2", "remote channel 3"]
    assert np.abs(found["remote channel 1"]).max() < 1e-3
    assert like(found["remote channel 3"], OTHER) > 0.99


async def test_what_is_missing_is_missing_of_everybody(tmp_path: Path) -> None:
    path = tracked(tmp_path / "late.mkv", [ONE, OTHER])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    ended, intake = await replayed(path, ChannelChoice.SPLIT)
    gaps = {m.participant: m.span.duration for m in intake.media if isinstance(m, Gap)}
    assert ended == "truncated"
    assert gaps.keys() == {"remote left", "remote right"}
    for name, sound in heard(intake).items():
        assert len(sound) / SAMPLE_RATE + gaps[name] == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("spoken", [0, 1, 2])
async def test_a_silent_track_gives_way_to_one_that_is_spoken(tmp_path: Path, spoken: int) -> None:
    """Recorders of screens and meetings write a track for each source, mostly silent ones."""
    silent = np.zeros_like(ONE)
    tracks = [[ONE] if number == spoken else [silent] for number in range(3)]
    _, intake = await replayed(tracked(tmp_path / "screen.mkv", *tracks))
    assert like(heard(intake)["remote"], ONE) > 0.99
    assert f"sound track {spoken + 1} of 3 was heard" in intake.remarks


async def test_of_two_spoken_tracks_the_first_is_heard(tmp_path: Path) -> None:
    _, intake = await replayed(tracked(tmp_path / "film.mkv", [ONE], [OTHER]))
    assert like(heard(intake)["remote"], ONE) > 0.99
    assert "sound track 1 of 2 was heard" in intake.remarks


async def test_of_a_site_s_calls_each_party_is_a_call_of_one_speaker(tmp_path: Path) -> None:
    path = tracked(tmp_path / "call.mkv", [ONE, OTHER])
    parts, metrics = stages(), Metrics()
    try:
        (call, other), (alone,) = [
            genuine_calls("somebody", (await hear(path, source, parts, metrics)).participants)
            for source in (
                FileSource(path, "remote", Sampling.steady(5), 640, channels=choice)
                for choice in (ChannelChoice.SPLIT, ChannelChoice.LEFT)
            )
        ]
    finally:
        parts.executor.close()
    assert {call.name, other.name, alone.name} == {"somebody"}
    assert [window.value for window in call.windows] == [window.value for window in alone.windows]
    assert call.windows
    assert other.windows
