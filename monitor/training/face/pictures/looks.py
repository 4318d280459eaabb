"""Files as the service would see them → every crop it would judge, with its quality."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from monitor.analysis.cascade import Cascade
from monitor.inference.onnx import Session
from monitor.training.face.pictures.album import FaceFile, pictures
from monitor.training.face.pictures.crops import FPS, followed

_log = logging.getLogger(__name__)
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Rendition:
    """A clip sent again by a smaller or poorer sender: H.264 as browsers send it."""

    name: str
    lines: int
    """Shorter side of the picture at most."""
    kilobits: int
    """A second."""


RENDITIONS = (
    Rendition("720p", 720, 1500),
    Rendition("480p", 480, 800),
    Rendition("360p", 360, 500),
    Rendition("480p-400k", 480, 400),
    Rendition("360p-150k", 360, 150),
)
NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Looks:
    """One row per judged crop."""

    crops: NDArray[np.uint8]
    """Shape (looks, 3, 224, 224), RGB."""
    number: NDArray[np.intp]
    """Which file of the list that was looked at."""
    time: NDArray[np.float64]
    face_px: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    brightness: NDArray[np.float64]
    yaw_degrees: NDArray[np.float64]
    bits: NDArray[np.float64]
    """Encoded bits for each pixel and picture of the file; NaN for photographs."""

    def __len__(self) -> int:
        return len(self.crops)

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Looks":
        """Read what `save` wrote; raises OSError or KeyError."""
        with np.load(path) as file:
            return cls(**{f.name: file[f.name] for f in fields(cls)})


def look(files: Sequence[FaceFile], at: Callable[[FaceFile], Path]) -> Looks:
    """Follow the face through every file as the service does; `at` says where a file lies."""
    cascade = Cascade()
    crops: list[NDArray[np.uint8]] = []
    rows: list[tuple[float, ...]] = []
    for number, file in enumerate(files):
        path = at(file)
        bits = bits_per_pixel(path) if file.kind == "video" else float("nan")
        before = len(rows)
        for time, _, face in followed(pictures(path, FPS), cascade):
            if face.crop is not None:
                quality = [face.quality[name] for name in _QUALITIES]
                crops.append(face.crop)
                rows.append((float(number), time, *quality, bits))
        if len(rows) == before:
            _log.warning("nothing to judge in %s", path.name)
    columns = np.array(rows).T
    return Looks(np.stack(crops), columns[0].astype(np.intp), *columns[1:])


_QUALITIES = ("face_px", "sharpness", "brightness", "yaw_degrees")


def logits(looks: Looks, session: Session) -> NDArray[np.float64]:
    """The network's logit of every crop, shape (looks,)."""
    found = []
    for i in range(0, len(looks), _BATCH):
        faces = looks.crops[i : i + _BATCH].astype(np.float32) / 255
        found.append(session.run({session.inputs[0]: faces})[0].reshape(-1))
    return np.concatenate(found).astype(np.float64)


def bits_per_pixel(path: Path) -> float:
    """Mean encoded bits for each pixel of each picture of a clip."""
    size = pictures_seen = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size:
                size += packet.size
                pictures_seen += 1
        pixels = stream.codec_context.width * stream.codec_context.height
    return 8 * size / max(pictures_seen * pixels, 1)


def send_again(source: Path, target: Path, rendition: Rendition) -> None:
    """Encode a clip's pictures as `rendition`, never larger than they are; sound is left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part.mp4")
    with av.open(str(source)) as container, av.open(str(partial), "w") as out:
        video = container.streams.video[0]
        width, height = video.codec_context.width, video.codec_context.height
        scale = min(1.0, rendition.lines / min(width, height))
        stream = out.add_stream("libx264", rate=video.average_rate or Fraction(25))
        stream.width, stream.height = (2 * round(side * scale / 2) for side in (width, height))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.bit_rate = 1000 * rendition.kilobits
        stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "maxrate": f"{rendition.kilobits}k",
            "bufsize": f"{rendition.kilobits}k",
        }
        for number, frame in enumerate(container.decode(video)):
            small = frame.reformat(stream.width, stream.height, "yuv420p")
            small.pts, small.time_base = number, 1 / Fraction(stream.average_rate or 25)
            out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    partial.rename(target)
