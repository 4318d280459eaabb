"""Recordings in every state: whole, silent, truncated, unreadable."""

from pathlib import Path

import pytest

from monitor.ingest.recording.file_source import FileSource
from monitor.runtime.channel import ChannelClosedError
from monitor.types import AudioFrame, Gap, LostReason, Tracks, VideoFrame
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Media, SourceError
from monitor.types.sampling import Sampling
from tests.flow.conftest import write_media


class Collector:
    """An intake that keeps everything."""

    encoded: PacketTarget | None = None
    key_frames: float | None = None

    def __init__(self, limit: int = 10_000) -> None:
        self.media: list[Media] = []
        self.remarks: list[str] = []
        self._limit = limit

    def now(self) -> float:
        return 0.0

    def since(self, at: float) -> float:
        return at

    async def put(self, media: Media) -> None:
        self.media.append(media)

    def put_threadsafe(self, media: Media) -> None:
        if len(self.media) >= self._limit:
            raise ChannelClosedError
        self.media.append(media)

    def remark(self, text: str) -> None:
        self.remarks.append(text)


async def read(path: Path, limit: int = 10_000) -> tuple[str, list[Media]]:
    intake = Collector(limit)
    reason = await FileSource(path, "remote", sampling=Sampling.steady(5), video_width=640).run(
        intake
    )
    return reason, intake.media


async def test_audio_and_video_on_one_clock(recording: Path) -> None:
    reason, media = await read(recording)
    assert reason == "ended"
    assert media[0] == Tracks("remote", audio=True, video=True)
    audio = [m for m in media if isinstance(m, AudioFrame)]
    assert audio[0].start == pytest.approx(0, abs=0.02)
    assert audio[-1].end == pytest.approx(6, abs=0.05)
    for before, after in zip(audio, audio[1:], strict=False):
        assert after.start == pytest.approx(before.end, abs=1e-6)
    pictures = [m for m in media if isinstance(m, VideoFrame)]
    assert len(pictures) == pytest.approx(30, abs=2)
    assert pictures[0].image.shape == (240, 320, 3)


@pytest.mark.parametrize("suffix", [".wav", ".mp4", ".mkv"])
async def test_any_container(tmp_path: Path, suffix: str) -> None:
    path = write_media(tmp_path / f"tone{suffix}", 4, video=suffix != ".wav", rate=48_000)
    _, media = await read(path)
    assert sum(len(m.samples) for m in media if isinstance(m, AudioFrame)) == pytest.approx(
        4 * 16_000, rel=0.03
    )


async def test_a_truncated_recording_is_heard_and_the_rest_is_lost(tmp_path: Path) -> None:
    path = write_media(tmp_path / "tone.mkv", 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    reason, media = await read(path)
    assert reason == "truncated"
    gap = media[-1]
    assert isinstance(gap, Gap)
    assert gap.reason is LostReason.TRUNCATED
    assert gap.span.end == pytest.approx(20, abs=0.1)
    assert 5 < gap.span.start < 15


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "not_found"), (b"", "unreadable"), (b"no media\n", "unreadable")]
)
async def test_what_cannot_be_opened_is_named(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        await read(path)
    assert caught.value.reason == reason
    assert caught.value.detail.startswith("bad.wav: ")
    assert str(tmp_path) not in caught.value.detail


async def test_a_header_without_media_is_named(tmp_path: Path) -> None:
    path = write_media(tmp_path / "tone.wav", 1)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match=r"^tone\.wav: "):
        await read(path)


async def test_the_thread_ends_with_the_call(recording: Path) -> None:
    reason, media = await read(recording, limit=3)
    assert reason == "stopped"
    assert len(media) == 3


async def test_pictures_say_how_hard_they_were_compressed(tmp_path: Path) -> None:
    _, media = await read(write_media(tmp_path / "call.mp4", seconds=3.0, video=True))
    rates = [frame.bits_per_pixel for frame in media if isinstance(frame, VideoFrame)]
    everything = 8 * (tmp_path / "call.mp4").stat().st_size / (30 * 320 * 240)
    assert 0 < rates[-1] < everything
