"""Media that flow tests make themselves."""

from importlib.util import find_spec
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from monitor.types import Image


def write_media(
    path: Path, seconds: float, audio: bool = True, video: bool = False, rate: int = 48_000
) -> Path:
    """A tone that gets louder, and grey pictures that get lighter."""
    with av.open(str(path), "w") as container:
        sound: av.AudioStream | None = None
        picture: av.VideoStream | None = None
        if audio:
            codec = {".wav": "pcm_s16le", ".mkv": "libopus"}.get(path.suffix, "aac")
            sound = cast(av.AudioStream, container.add_stream(codec, rate=rate, layout="mono"))
        if video:
            picture = container.add_stream("libx264", rate=10)
            picture.width, picture.height, picture.pix_fmt = 320, 240, "yuv420p"
        for tenth in range(round(seconds * 10)):
            if sound is not None:
                container.mux(sound.encode(_tone(tenth, rate)))
            if picture is not None:
                shade = np.full((240, 320, 3), tenth % 256, np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        if sound is not None:
            container.mux(sound.encode(None))
        if picture is not None:
            container.mux(picture.encode(None))
    return path


def _tone(tenth: int, rate: int) -> av.AudioFrame:
    n = rate // 10
    t = (np.arange(n) + tenth * n) / rate
    wave = 0.5 * min(1, tenth / 50) * np.sin(2 * np.pi * 300 * t)
    pcm = (wave[None] * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, tenth * n
    return frame


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six seconds of tone and pictures in Matroska."""
    return write_media(tmp_path / "tone.mkv", 6, video=True)


def portrait() -> Image:
    """A real face, 640 x 480: the picture that scikit-image carries."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data" / "astronaut.png"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        return frame.reformat(640, 480, "rgb24").to_ndarray().astype(np.uint8)
