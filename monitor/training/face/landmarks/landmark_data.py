"""Teacher's landmarks and their pictures → patches with room around the face."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import Map, Points, inverted, sampled, similarity
from monitor.analysis.landmarker import INPUT_SIDE, LANDMARK_TEMPLATE, crop_points, five_points
from monitor.training.data.clips import fraction
from monitor.training.face.pictures.album import FaceFile, pictures
from monitor.types import Image
from monitor.types.landmarks import POINTS

_log = logging.getLogger(__name__)
ROOM = 1.5
"""Side of a kept patch, in sides of the crop: room for jitter."""
PATCH_SIDE = round(INPUT_SIDE * ROOM)
SET_ASIDE = 0.1
"""Share of the training people who only test."""
_EACH_SECONDS = 0.2
"""Distance of a clip's pictures."""
_EMPTY_EACH = 5
"""One patch without a face is looked for beside every so many patches of a clip."""
_APART = 0.75
"""Distance of such a patch's centre from the face, in sides of the face's crop, at least."""


@dataclass(frozen=True, slots=True)
class Patches:
    """Pieces of pictures: faces with room around them, and what is beside faces."""

    image: NDArray[np.uint8]
    """Shape (patches, PATCH_SIDE, PATCH_SIDE, 3), RGB."""
    points: NDArray[np.float32]
    """Pixels of the patch, shape (patches, POINTS, 2)."""
    pose: NDArray[np.float32]
    """Degrees, shape (patches, 3); roll is what is left in the patch."""
    face: NDArray[np.bool_]
    """Whether there is a face; without one, points and pose are 0. Shape (patches,)."""
    group: NDArray[np.str_]
    """One person where that is known, shape (patches,)."""

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz file."""
        np.savez(
            path,
            image=self.image,
            points=self.points,
            pose=self.pose,
            face=self.face,
            group=self.group,
        )


def load_patches(path: Path) -> Patches:
    """Read what `save` wrote."""
    with np.load(path) as found:
        names = ("image", "points", "pose", "face", "group")
        return Patches(*(found[name] for name in names))


def set_aside(group: str) -> bool:
    """Whether a person only tests."""
    return fraction(f"landmarks/{group}") < SET_ASIDE


def cut(files: Sequence[FaceFile], teacher: Path, each: float = _EACH_SECONDS) -> Patches:
    """Cut a patch of every picture that the teacher found a face in, `each` seconds apart."""
    found: list[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], bool, str]] = []
    rng = np.random.default_rng(0)
    nothing = np.zeros((POINTS, 2), np.float32), np.zeros(3, np.float32)
    for file in files:
        path = teacher / f"{file.path.stem}.npz"
        if not path.exists():
            continue
        with np.load(path) as labels:
            times, points, pose = labels["times"], labels["points"], labels["pose"]
        due, kept = -math.inf, 0
        for time, image in pictures(file.path, 30.0):
            row = int(np.abs(times - time).argmin())
            if time < due or abs(times[row] - time) > 1e-3:
                continue
            due = time + each
            five = five_points(points[row])
            back = _patch_map(five)
            patch = sampled(image, back, PATCH_SIDE, PATCH_SIDE)
            turn = math.degrees(math.atan2(back[1, 0], back[0, 0]))
            angles = pose[row] - np.array([0, 0, turn], np.float32)
            found.append((patch, crop_points(points[row], back), angles, True, file.group))
            empty = _beside(image, back, rng) if kept % _EMPTY_EACH == 0 else None
            if empty is not None:
                found.append((empty, *nothing, False, file.group))
            kept += 1
    people = np.array([one[4] for one in found])
    _log.info("%d patches of %d people", len(found), len(set(people.tolist())))
    return Patches(
        np.stack([one[0] for one in found]),
        np.stack([one[1] for one in found]),
        np.stack([one[2] for one in found]),
        np.array([one[3] for one in found]),
        people,
    )


def _patch_map(five: Points) -> Map:
    """From the patch to the picture in which the five points were found."""
    template = 0.5 + (LANDMARK_TEMPLATE - 0.5) / ROOM
    return inverted(similarity(five, template * PATCH_SIDE))


def _beside(image: Image, face: Map, rng: np.random.Generator) -> NDArray[np.uint8] | None:
    """A piece of the picture away from the face's patch; None if there is no room."""
    middle = face @ [PATCH_SIDE / 2, PATCH_SIDE / 2, 1]
    unit = math.hypot(face[0, 0], face[1, 0])
    size = np.array([image.shape[1], image.shape[0]])
    for _ in range(10):
        centre = rng.uniform(0, size)
        scale = unit * rng.uniform(0.3, 1.0)
        if np.hypot(*(centre - middle)) > _APART * unit * INPUT_SIDE:
            linear = scale * np.eye(2)
            back = np.column_stack([linear, centre - scale * PATCH_SIDE / 2])
            return sampled(image, back, PATCH_SIDE, PATCH_SIDE)
    return None
