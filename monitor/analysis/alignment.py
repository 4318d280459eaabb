"""Landmarks and a picture → an upright face crop, by a similarity map and bilinear sampling."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.types import Image

Points = NDArray[np.float64]
"""Positions in a picture, shape (points, 2), x then y, pixels; (0, 0) is the top left corner of
the first pixel, so that pixel's centre lies at (0.5, 0.5)."""

Map = NDArray[np.float64]
"""Affine map, shape (2, 3): (x, y) of a picture = map @ (column, row, 1) of a crop."""

CROP_SIDE = 224
"""Pixels of a face crop's side."""

TEMPLATE: Points = np.array(
    [[0.3685, 0.4218], [0.6315, 0.4218], [0.5, 0.575], [0.3781, 0.6908], [0.6219, 0.6908]]
)
"""Where an upright crop shows the landmarks, as shares of its side: the median places MTCNN gave
them in its own box on 1,100 portraits, made symmetrical, in a square of 1.3 times the box's
longer side around the box's centre."""

_SMALLEST = 4
"""Pixels of the shorter side below which nothing is halved."""

# Calls share the cores already: a pool of threads in each picture would only get in their way.
cv2.setNumThreads(1)


class Pyramid:
    """A picture, or a cut-out of one, with its successive halvings, ready to be sampled.

    Sampling takes the level whose pixels are one to two output pixels apart (mip-mapping,
    Williams 1983), so that shrinking does not alias. Outside the picture its edge repeats.
    """

    def __init__(self, image: Image, box: Sequence[float] | None = None) -> None:
        """Prepare `image`, or only the part that covers `box` (x0, y0, x1, y1)."""
        height, width = image.shape[:2]
        left, top, right, bottom = 0, 0, width, height
        if box is not None:
            left = min(max(math.floor(box[0]) - 1, 0), width - 2)
            top = min(max(math.floor(box[1]) - 1, 0), height - 2)
            right = max(min(math.ceil(box[2]) + 1, width), left + 2)
            bottom = max(min(math.ceil(box[3]) + 1, height), top + 2)
        self._levels = [image[top:bottom, left:right]]
        self._left, self._top = left, top

    def sample(self, maps: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.uint8]:
        """Crops of this picture, shape (maps, rows, columns, 3), RGB, bilinear.

        `maps` has shape (crops, 2, 3), one `Map` per crop.
        """
        crops = np.empty((len(maps), rows, columns, 3), np.uint8)
        # Plain numbers: for so few of them numpy's calls cost more than the crop.
        for crop, ((a, b, x), (c, d, y)) in zip(crops, maps.tolist(), strict=True):
            level = self._level(math.sqrt(abs(a * d - b * c)))
            unit = 0.5**level
            # OpenCV counts from the centre of the first pixel.
            x, y = x + (a + b) / 2 - self._left, y + (c + d) / 2 - self._top
            cv2.warpAffine(
                self._levels[level],
                unit * np.array([[a, b, x], [c, d, y]]) - np.array([0, 0, 0.5]),
                (columns, rows),
                dst=crop,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return crops

    def _level(self, scale: float) -> int:
        """How often to halve for crops that shrink by `scale`; makes the levels up to it."""
        wanted = int(math.log2(scale)) if scale > 1 else 0
        while len(self._levels) <= wanted and min(self._levels[-1].shape[:2]) >= _SMALLEST:
            height, width = (side // 2 for side in self._levels[-1].shape[:2])
            whole = self._levels[-1][: 2 * height, : 2 * width]
            # The mean of each 2x2 block of pixels.
            half = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(half, np.uint8))
        return min(wanted, len(self._levels) - 1)


def similarity(source: Points, target: Points) -> Map:
    """The turn, scale and shift that brings `source` closest to `target`, least squares.

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point
    patterns", for the plane: with points as complex numbers its singular value decomposition
    becomes one division, and a mirror image cannot come out.
    """
    a = [complex(x, y) for x, y in source.tolist()]
    b = [complex(x, y) for x, y in target.tolist()]
    start, end = sum(a) / len(a), sum(b) / len(b)
    spread = [point - start for point in a]
    size = sum(abs(point) ** 2 for point in spread)
    turn = sum(p.conjugate() * (q - end) for p, q in zip(spread, b, strict=True)) / size
    shift = end - turn * start
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def crop_map(landmarks: Points, side: int = CROP_SIDE) -> Map:
    """From a crop of `side` pixels to the picture in which `landmarks` (5, 2) were found."""
    return inverted(similarity(landmarks, TEMPLATE * side))


def inverted(forward: Map) -> Map:
    """The map that undoes `forward`."""
    (a, b, x), (c, d, y) = forward.tolist()
    size = a * d - b * c
    a, b, c, d = d / size, -b / size, -c / size, a / size
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def align(image: Image, landmarks: Points, side: int = CROP_SIDE) -> NDArray[np.uint8]:
    """The upright face, shape (3, side, side), RGB, landmarks at `TEMPLATE` times `side`."""
    crop = sampled(image, crop_map(landmarks, side), side, side)
    return np.ascontiguousarray(crop.transpose(2, 0, 1))


def sampled(image: Image, back: Map, rows: int, columns: int) -> NDArray[np.uint8]:
    """One crop of a picture, shape (rows, columns, 3), RGB, given the map from it to `image`."""
    (a, b, x), (c, d, y) = back.tolist()
    # Its corners: each coordinate is least and greatest where every term is.
    box = (
        x + min(a * columns, 0) + min(b * rows, 0),
        y + min(c * columns, 0) + min(d * rows, 0),
        x + max(a * columns, 0) + max(b * rows, 0),
        y + max(c * columns, 0) + max(d * rows, 0),
    )
    crop: NDArray[np.uint8] = Pyramid(image, box).sample(back[None], rows, columns)[0]
    return crop
