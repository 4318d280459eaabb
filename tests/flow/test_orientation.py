"""Pictures are seen as players show them: upright, and with square pixels."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.ingest.pull.demuxer import Demuxer
from monitor.ingest.recording.file_source import FileSource
from monitor.types import Image, VideoFrame
from monitor.types.sampling import Sampling
from tests.flow.test_feed import standing_still
from tests.flow.test_file_source import Collector
from tests.flow.webrtc import MemoryIntake
from tests.recordings import encoded, humming

MATRICES = {
    "as it is": (1, 0, 0, 1),
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "90, mirrored": (0, 1, 1, 0),
    "270, mirrored": (0, -1, -1, 0),
}
"""a, b, c, d of x' = ax + cy, y' = bx + dy."""


def shown() -> Image:
    """What is to be seen: 320 rows of 240 pixels, another colour in each quarter."""
    picture = np.zeros((320, 240, 3), np.uint8)
    picture[:160] = 200
    picture[:160, :120, 0] = 0
    picture[160:, 120:, 2] = 200
    return picture


def stored(picture: Image, matrix: tuple[int, int, int, int]) -> Image:
    """The picture that a matrix makes of it, pixel by pixel."""
    a, b, c, d = matrix
    height, width = picture.shape[:2]
    rows, columns = (width, height) if a == 0 else (height, width)
    y, x = np.mgrid[:rows, :columns]
    to_x, to_y = a * x + c * y, b * x + d * y
    return np.ascontiguousarray(picture[to_y - to_y.min(), to_x - to_x.min()])


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the matrix into an MP4's track header, version 0."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


async def first_picture(path: Path, width: int = 640) -> Image:
    intake = Collector()
    await FileSource(path, "remote", Sampling.steady(5), width).run(intake)
    return next(m for m in intake.media if isinstance(m, VideoFrame)).image


@pytest.mark.parametrize("width", [640, 120])
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
async def test_a_film_is_seen_as_it_is_shown(
    tmp_path: Path, matrix: tuple[int, int, int, int], width: int
) -> None:
    """Telephones store pictures lying on their side and say in the file how to turn them.

    Case turned-picture, 2026-11: faces on their side, few found, and those nearer to a fake.
    """
    lying = stored(shown(), matrix)
    size = (lying.shape[1], lying.shape[0])
    path = tmp_path / "film.mp4"
    encoded(path, humming(1), "aac", "mp4", 16_000, pictures=1, size=size, draw=lambda _: lying)
    found = await first_picture(turned(path, matrix), width)
    step = max(1, 240 // width)
    assert found.shape == (320 // step, 240 // step, 3)
    assert np.abs(found.astype(int) - shown()[::step, ::step]).mean() < 8


def anamorphic(path: Path, aspect: Fraction) -> Path:
    """A second of H.264 whose parameter sets say that pixels are not square."""
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 160, 240, "yuv420p"
        video.codec_context.sample_aspect_ratio = aspect
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((240, 160, 3), 90, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("aspect", "width"), [(Fraction(2), 320), (Fraction(16, 11), 232), (Fraction(1, 2), 80)]
)
async def test_pixels_that_are_not_square_become_so_in_files_and_live(
    tmp_path: Path, aspect: Fraction, width: int
) -> None:
    path = anamorphic(tmp_path / "film.mkv", aspect)
    assert (await first_picture(path)).shape == (240, width, 3)
    intake = MemoryIntake()
    with av.open(str(path)) as container:
        Demuxer("remote", Sampling.steady(5), 640, clock=standing_still).play(container, intake)
    assert intake.video[0].image.shape == (240, width, 3)
