"""Files that ask for more than they are worth: large pictures, other files, endless lengths."""

import asyncio
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.ingest.recording.file_source import FileSource
from monitor.types import AudioFrame, Gap, VideoFrame
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling
from tests.flow.test_file_source import Collector

MOST = 640 * 360


async def read(path: Path) -> Collector:
    intake = Collector()
    await FileSource(path, "remote", Sampling(most_pixels=MOST), 640).run(intake)
    return intake


def film(path: Path, width: int, height: int, codec: str) -> Path:
    """A second with sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=5)
        assert isinstance(video, av.VideoStream)
        video.width, video.height = width, height
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for n in range(5):
            image = np.full((height, width, 3), 40 * n, np.uint8)
            picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=video.pix_fmt)
            picture.pts, picture.time_base = n, Fraction(1, 5)
            container.mux(video.encode(picture))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
            sound.rate, sound.pts, sound.time_base = 8000, n * 1600, Fraction(1, 8000)
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "libx264", "libvpx"])
async def test_large_pictures_are_left_out_and_the_sound_is_heard(
    tmp_path: Path, codec: str
) -> None:
    fits = await read(film(tmp_path / "fits.mkv", 640, 360, codec))
    assert len([m for m in fits.media if isinstance(m, VideoFrame)]) == 5
    large = await read(film(tmp_path / "large.mkv", 1280, 720, codec))
    assert not [m for m in large.media if isinstance(m, VideoFrame)]
    heard = sum(m.end - m.start for m in large.media if isinstance(m, AudioFrame))
    assert heard == pytest.approx(1.0, abs=0.05)
    if codec != "mjpeg":  # whose size nothing but the picture tells
        assert large.remarks == ["pictures are too large and not decoded (video.most_pixels)"]


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nvoice.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile voice.wav\n",
        "[playlist]\nFile1=voice.wav\n",
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'/>",
        "RTSP/1.0\nv=0\nm=audio 5004 RTP/AVP 0\nc=IN IP4 127.0.0.1\n",
    ],
)
@pytest.mark.parametrize("name", ["recording", "list.m3u8", "list.ffconcat", "list.mpd"])
async def test_what_names_other_files_is_not_opened(tmp_path: Path, text: str, name: str) -> None:
    film(tmp_path / "voice.wav.mkv", 640, 360, "mjpeg")
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError) as caught:
        await read(tmp_path / name)
    assert caught.value.reason == "unreadable"


async def test_a_small_file_does_not_have_hours_booked_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "short.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=8000)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for n in range(10):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.rate, sound.pts, sound.time_base = 8000, n * 1024, Fraction(1, 8000)
            container.mux(audio.encode(sound))
        container.mux(audio.encode())
    data = bytearray(path.read_bytes())
    for box in (b"mvhd", b"mdhd", b"tkhd"):
        at = data.find(box) + (24 if box == b"tkhd" else 20)
        data[at : at + 4] = struct.pack(">I", 2**31)
    path.write_bytes(data)
    async with asyncio.timeout(60):
        found = await read(path)
    lost = sum(m.span.duration for m in found.media if isinstance(m, Gap))
    heard = sum(m.end - m.start for m in found.media if isinstance(m, AudioFrame))
    assert heard == pytest.approx(1.28, abs=0.2)
    assert lost < 60
