"""Files of an album → upright face crops as the service makes them, with some room around them."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import CROP_SIDE, Map, Points, crop_map, inverted, sampled
from monitor.analysis.cascade import Cascade
from monitor.analysis.faces import FaceTracker, TrackedFace
from monitor.training.face.pictures.album import FaceFile, pictures
from monitor.types import Image, VideoFrame
from monitor.types.sampling import Sampling

_log = logging.getLogger(__name__)
MARGIN = 32
"""Pixels of picture kept around a crop on every side: room for jitter and for codecs."""
WIDE_SIDE = CROP_SIDE + 2 * MARGIN
FPS = Sampling().fps
"""Pictures a second that the service looks at, and so does this."""
SMALLEST = 60.0
"""Pixels of the narrowest face that is of use in training."""
_EACH_SECONDS, _MOST = 1 / 3, 40
"""Pictures of one clip are this far apart in training, and this many at most."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops with what is known about them; every array has one row per crop."""

    wide: NDArray[np.uint8]
    """Shape (crops, 288, 288, 3), RGB; the middle 224 pixels are the service's crop."""
    maps: NDArray[np.float64]
    """Shape (crops, 2, 3): from `wide` to the picture, as `alignment.Map`."""
    five: NDArray[np.float64]
    """Shape (crops, 5, 2): landmarks of the cascade in pixels of `wide`."""
    face_px: NDArray[np.float64]
    """Width of the face in the picture."""
    time: NDArray[np.float64]
    """Seconds into the clip; 0 for a photograph."""
    path: NDArray[np.str_]
    group: NDArray[np.str_]
    source: NDArray[np.str_]
    video: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.wide)

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Crops":
        """Some of the rows."""
        return Crops(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Crops":
        """Read what `save` wrote; raises OSError or KeyError."""
        with np.load(path) as file:
            return cls(**{f.name: file[f.name] for f in fields(cls)})


def followed(
    shown: Iterable[tuple[float, Image]], cascade: Cascade
) -> Iterator[tuple[float, Image, TrackedFace]]:
    """The face that the service would follow through the pictures of one file."""
    tracker = FaceTracker(cascade)
    for time, image in shown:
        face = tracker.look(VideoFrame("", time, image)).face
        if face is not None:
            yield time, image, face


def wide_map(landmarks: Points) -> Map:
    """From a crop with its margin to the picture."""
    back = crop_map(landmarks)
    back[:, 2] -= MARGIN * (back[:, 0] + back[:, 1])
    return back


def wide_crop(image: Image, landmarks: Points) -> NDArray[np.uint8]:
    """The upright face with its margin, shape (288, 288, 3), RGB."""
    back = wide_map(landmarks)
    return sampled(image, back, WIDE_SIDE, WIDE_SIDE)


def collect(files: Sequence[FaceFile]) -> Crops:
    """Crops of every file in which the cascade finds a face."""
    cascade = Cascade()
    rows: list[tuple[Image, Map, Points, float, float, FaceFile]] = []
    for file in files:
        before = len(rows)
        rows += [(*_measured(*seen), file) for seen in _spread(file, cascade)]
        if len(rows) == before:
            _log.warning("no face in %s", file.path.name)
    return Crops(
        wide=np.stack([row[0] for row in rows]),
        maps=np.stack([row[1] for row in rows]),
        five=np.stack([row[2] for row in rows]),
        face_px=np.array([row[3] for row in rows]),
        time=np.array([row[4] for row in rows]),
        path=np.array([row[5].path.name for row in rows]),
        group=np.array([row[5].group for row in rows]),
        source=np.array([row[5].source for row in rows]),
        video=np.array([row[5].kind == "video" for row in rows]),
    )


def _spread(file: FaceFile, cascade: Cascade) -> list[tuple[float, Image, TrackedFace]]:
    """Pictures of one file, evenly over its length."""
    kept: list[tuple[float, Image, TrackedFace]] = []
    for time, image, face in followed(pictures(file.path, FPS), cascade):
        late = not kept or time - kept[-1][0] >= max(_EACH_SECONDS, file.seconds / _MOST) - 1e-6
        if late and face.box[2] - face.box[0] >= SMALLEST:
            kept.append((time, image, face))
    return kept


def _measured(
    time: float, image: Image, face: TrackedFace
) -> tuple[NDArray[np.uint8], Map, Points, float, float]:
    back = wide_map(face.landmarks)
    forward = inverted(back)
    five = face.landmarks @ forward[:, :2].T + forward[:, 2]
    width = float(face.box[2] - face.box[0])
    return wide_crop(image, face.landmarks), back, five, width, time
