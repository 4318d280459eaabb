"""A face in one picture → 104 landmarks and pose, followed from picture to picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import TEMPLATE, Map, Points, inverted, sampled, similarity
from monitor.inference.catalogue import Model
from monitor.inference.onnx import CPU, Session
from monitor.types import EYE_SHAPE, MOUTH_SHAPE, Image
from monitor.types.landmarks import INNER_LIPS, LEFT_EYE, OUTER_LIPS, POINTS, RIGHT_EYE

INPUT_SIDE = 112
"""Pixels of the side of the crop that the network sees."""
LANDMARK_TEMPLATE: Points = np.array([0.5, 0.46]) + 1.1 * (TEMPLATE - 0.5)
"""Where that crop shows the five points: closer than the crop for forgeries and higher up, so that
forehead to chin are four fifths of it."""
BELIEVED = 0.5
"""Least probability with which landmarks are used."""
_FIVE = np.zeros((5, POINTS))
"""What each landmark adds to each of the five points."""
_FIVE[0, RIGHT_EYE] = _FIVE[1, LEFT_EYE] = 1 / 16
_FIVE[range(2, 5), [98, OUTER_LIPS.start, OUTER_LIPS.start + 6]] = 1
_MOUTH_WIDE = 1.15
"""Width of the mouth's picture, in distances between the eyes: the scale of a mouth that opens
must not change."""
_EYE_WIDE = 0.62
"""Width of an eye's picture, in distances between the eyes."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """What was found in one picture."""

    points: NDArray[np.float32]
    """Shape (POINTS, 2), pixels of the picture, order of `landmarks`."""
    pose: NDArray[np.float32]
    """Yaw, pitch and roll in degrees, shape (3,); positive towards the picture's right, upwards,
    and clockwise as seen."""
    trust: float
    """Probability that this is a face and that the points lie on it."""


class Landmarker:
    """The network of `models/landmarks`; safe to share between calls."""

    def __init__(self, model: Model, providers: Sequence[str] = (CPU,)) -> None:
        self.model = model.version
        self._session = Session(model.path, providers)
        # The first run allocates; a call should not pay for it.
        self._run(np.zeros((1, INPUT_SIDE, INPUT_SIDE, 3), np.uint8))

    def find(self, image: Image, five: Points) -> Landmarks:
        """Return the landmarks of a face whose five points (order of `Face`) are known roughly."""
        back = landmark_map(five)
        crop = sampled(image, back, INPUT_SIDE, INPUT_SIDE)
        points, pose, face = self._run(crop[None])
        turn = math.degrees(math.atan2(back[1, 0], back[0, 0]))
        shown = points[0] * INPUT_SIDE @ back[:, :2].T + back[:, 2]
        return Landmarks(
            points=shown.astype(np.float32),
            pose=pose[0] + np.array([0, 0, turn], np.float32),
            trust=1 / (1 + math.exp(-float(np.clip(face[0], -50, 50)))),
        )

    def _run(self, crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        faces = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / 255
        return list(self._session.run({self._session.inputs[0]: faces}))


class LandmarkTracker:
    """Follows the landmarks of one face; between searches its own points tell where it is."""

    def __init__(self, landmarker: Landmarker) -> None:
        self._landmarker = landmarker
        self._five: Points | None = None

    def look(self, image: Image, five: Points | None) -> Landmarks | None:
        """Find the face again, or where `five` says it is if that is known; None if it is lost."""
        found = self._tried(image, self._five)
        if found is None and five is not None:
            found = self._tried(image, five)
        self._five = five_points(found.points) if found is not None else None
        return found

    def restart(self) -> None:
        """Another face is followed from now on."""
        self._five = None

    def _tried(self, image: Image, five: Points | None) -> Landmarks | None:
        if five is None:
            return None
        found = self._landmarker.find(image, five)
        return found if found.trust >= BELIEVED else None


def five_points(points: NDArray[np.float32]) -> Points:
    """Both eyes, tip of the nose, corners of the mouth, shape (5, 2), from landmarks."""
    return np.asarray(_FIVE @ points.astype(np.float64))


def landmark_map(five: Points, side: int = INPUT_SIDE) -> Map:
    """From the network's crop to the picture in which the five points were found."""
    return inverted(similarity(five, LANDMARK_TEMPLATE * side))


def mouth(image: Image, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The upright mouth, luma, shape MOUTH_SHAPE, at the scale of the face."""
    five = five_points(points)
    across = (five[1] - five[0]) * _MOUTH_WIDE
    return _upright(image, points[INNER_LIPS].astype(np.float64).mean(axis=0), across, MOUTH_SHAPE)


def eyes(image: Image, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Both upright eyes, luma, shape (2, *EYE_SHAPE), the left one mirrored."""
    five = five_points(points)
    across = (five[1] - five[0]) * _EYE_WIDE
    right, left = (_upright(image, centre, across, EYE_SHAPE) for centre in five[:2])
    return np.stack([right, left[:, ::-1]])


def crop_points(points: NDArray[np.float32], back: Map) -> NDArray[np.float32]:
    """Landmarks of the picture in pixels of a crop, given the map from the crop to the picture."""
    forward = inverted(back)
    return np.asarray(np.c_[points, np.ones(len(points))] @ forward.T, np.float32)


def skin(image: Image, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean colour of forehead, right cheek and left cheek, shape (3, 3), RGB, 0 to 255."""
    right, left, *_ = five_points(points)
    across = left - right
    down = np.array([-across[1], across[0]])
    centres = [(right + left) / 2 - 0.55 * down, right + 0.55 * down, left + 0.55 * down]
    half = max(1, round(0.12 * float(np.hypot(*across))))
    height, width = image.shape[:2]
    colours = []
    for x, y in centres:
        top, start = (min(max(round(v) - half, 0), n - 1) for v, n in ((y, height), (x, width)))
        part = image[top : round(y) + half + 1, start : round(x) + half + 1]
        colours.append(cv2.mean(part)[:3] if part.size else np.full(3, np.nan))
    return np.array(colours, np.float32)


def _upright(
    image: Image, centre: NDArray[np.float64], across: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Brightness (ITU-R BT.601) around `centre`, turned and scaled: `across` is its width."""
    rows, columns = shape
    x, y = across / columns
    axes = np.array([[x, -y], [y, x]])
    back = np.column_stack([axes, centre - axes @ [columns / 2, rows / 2]])
    return np.asarray(
        cv2.cvtColor(sampled(image, back, rows, columns), cv2.COLOR_RGB2GRAY), np.uint8
    )
