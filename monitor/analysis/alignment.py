"""Landmarks and a picture → an upright face crop, by a similarity map and bilinear sampling.

The sampler works on whole pixels packed into 32-bit words: a pixel is one look-up, and two colour
channels share each integer multiplication. In numpy that is what makes it cheap enough to run on
every picture.
"""

import math
from collections.abc import Sequence

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

_LANES = np.uint32(0x00FF00FF)
"""Every second byte of a word: room for a colour value times a weight of at most 256."""
_BITS = 4
_STEPS = 1 << _BITS
"""Positions between two pixels that the sampler tells apart; four weights then sum to 256."""
_BLOCK = 12_544
"""Output pixels worked on at once; temporaries of this size stay in a core's own cache."""


class Pixels:
    """A picture, or a cut-out of one, with its successive halvings, ready to be sampled.

    Sampling takes the level whose pixels are one to two output pixels apart (mip-mapping,
    Williams 1983), so that shrinking does not alias. Outside the picture its edge repeats.
    """

    def __init__(
        self,
        image: Image,
        box: Sequence[float] | None = None,
        coarsest: float = math.inf,
        stride: int = 1,
    ) -> None:
        """Pack `image`, or only the part that covers `box` (x0, y0, x1, y1).

        `coarsest` is the largest reduction that will be asked for. With a `stride`, only every
        so-manieth row and column is read: much cheaper, for uses that bear some aliasing.
        """
        height, width = image.shape[:2]
        left, top, right, bottom = 0, 0, width, height
        if box is not None:
            left = min(max(math.floor(box[0]) - 1, 0), width - 2)
            top = min(max(math.floor(box[1]) - 1, 0), height - 2)
            right = max(min(math.ceil(box[2]) + 1, width), left + 2)
            bottom = max(min(math.ceil(box[3]) + 1, height), top + 2)
        levels = [_packed(image[top:bottom:stride, left:right:stride])]
        while stride * 2 ** len(levels) <= coarsest and min(levels[-1].shape) >= 4:
            levels.append(_halved(levels[-1]))
        self._stride = stride
        self._centre = np.array([left + 0.5, top + 0.5])
        self._words = np.concatenate([level.reshape(-1) for level in levels])
        self._starts = np.cumsum([0] + [level.size for level in levels])[:-1].astype(np.int32)
        self._sizes = np.array([level.shape for level in levels], np.int32)

    def sample(self, maps: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.uint8]:
        """Crops of this picture, shape (maps, rows, columns, 3), RGB.

        `maps` has shape (crops, 2, 3), one `Map` per crop.
        """
        count = len(maps)
        out = np.empty((count, rows, columns), np.uint32)
        scales = np.sqrt(np.abs(np.linalg.det(maps[:, :, :2]))) / self._stride
        finest = np.log2(np.maximum(scales, 1.0)).astype(np.int32)
        level = np.minimum(finest, len(self._starts) - 1)
        heights, widths = self._sizes[level].T[:, :, None, None]
        starts = self._starts[level][:, None, None]
        steps = _STEPS / 2.0**level
        linear = maps[:, :, :2] * (steps / self._stride)[:, None, None]
        # From the centre of the finest level's first pixel to that of this level's first pixel.
        shift = steps[:, None] / 2 - _STEPS / 2
        offset = (maps[:, :, 2] - self._centre) * (steps / self._stride)[:, None] + shift
        across = np.rint(linear[:, :, :1] * (np.arange(columns) + 0.5) + offset[:, :, None])
        down = np.rint(linear[:, :, 1:] * (np.arange(rows) + 0.5))
        x_across, y_across = across.astype(np.int32).transpose(1, 0, 2)[:, :, None, :]
        x_down, y_down = down.astype(np.int32).transpose(1, 0, 2)[:, :, :, None]
        crops = max(1, _BLOCK // (rows * columns))
        lines = max(1, _BLOCK // columns)
        for i in range(0, count, crops):
            some = slice(i, i + crops)
            for j in range(0, rows, lines):
                x = x_across[some] + x_down[some, j : j + lines]
                y = y_across[some] + y_down[some, j : j + lines]
                out[some, j : j + lines] = self._blend(
                    x, y, starts[some], widths[some], heights[some]
                )
        return out.view(np.uint8).reshape(count, rows, columns, 4)[..., :3]

    def _blend(
        self,
        x: NDArray[np.int32],
        y: NDArray[np.int32],
        starts: NDArray[np.int32],
        widths: NDArray[np.int32],
        heights: NDArray[np.int32],
    ) -> NDArray[np.uint32]:
        """The four neighbours of each position, weighted; overwrites `x` and `y`."""
        for position, sizes in ((x, widths), (y, heights)):
            np.minimum(position, (sizes - 1) * _STEPS - 1, out=position)
            np.maximum(position, 0, out=position)
        right = (x & (_STEPS - 1)).view(np.uint32)
        below = (y & (_STEPS - 1)).view(np.uint32)
        x >>= _BITS
        y >>= _BITS
        y *= widths
        y += x
        y += starts
        both = right * below
        right <<= _BITS
        below <<= _BITS
        right -= both
        below -= both
        here = _STEPS * _STEPS - right
        here -= below
        here -= both
        index = y.astype(np.intp)
        even = np.full(x.shape, 0x00800080, np.uint32)
        odd = even.copy()
        for word, weight in (
            (index, here),
            (index + 1, right),
            (index + widths, below),
            (index + (widths + 1), both),
        ):
            value = self._words.take(word, mode="clip")
            lanes = value & _LANES
            lanes *= weight
            even += lanes
            value >>= 8
            value &= _LANES
            value *= weight
            odd += value
        even >>= 8
        even &= _LANES
        odd &= ~_LANES
        even |= odd
        return even


def _packed(image: Image) -> NDArray[np.uint32]:
    """Red, green, blue and one undefined byte in a word per pixel, shape (height, width)."""
    height, width = image.shape[:2]
    # Reading four bytes at every third byte is one strided copy; the last read needs a spare byte.
    data = np.zeros(height * width * 3 + 1, np.uint8)
    data[:-1].reshape(height, width, 3)[...] = image
    words: NDArray[np.uint32] = np.ndarray((height, width), "<u4", data, 0, (3 * width, 3)).copy()
    return words


def _halved(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The mean of each 2x2 block of pixels."""
    height, width = (side & ~1 for side in words.shape)
    even = words[:height] & _LANES
    odd = (words[:height] >> np.uint32(8)) & _LANES
    halves = []
    for lanes in (even, odd):
        rows = lanes[0::2] + lanes[1::2]
        total = rows[:, 0:width:2] + rows[:, 1:width:2]
        total += np.uint32(0x00020002)
        total >>= 2
        total &= _LANES
        halves.append(total)
    halves[1] <<= 8
    halves[0] |= halves[1]
    return halves[0]


def similarity(source: Points, target: Points) -> Map:
    """The turn, scale and shift that brings `source` closest to `target`, least squares.

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point
    patterns", for the plane: with points as complex numbers its singular value decomposition
    becomes one division, and a mirror image cannot come out.
    """
    a = source[:, 0] + 1j * source[:, 1]
    b = target[:, 0] + 1j * target[:, 1]
    spread = a - a.mean()
    turn = np.vdot(spread, b - b.mean()) / np.vdot(spread, spread).real
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def crop_map(landmarks: Points, side: int = CROP_SIDE) -> Map:
    """From a crop of `side` pixels to the picture in which `landmarks` (5, 2) were found."""
    return inverted(similarity(landmarks, TEMPLATE * side))


def inverted(forward: Map) -> Map:
    """The map that undoes `forward`."""
    linear = np.linalg.inv(forward[:, :2])
    return np.column_stack([linear, -linear @ forward[:, 2]])


def align(image: Image, landmarks: Points, side: int = CROP_SIDE) -> NDArray[np.uint8]:
    """The upright face, shape (3, side, side), RGB, landmarks at `TEMPLATE` times `side`."""
    back = crop_map(landmarks, side)
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]) @ back.T
    box = (*corners.min(axis=0), *corners.max(axis=0))
    scale = math.sqrt(abs(np.linalg.det(back[:, :2])))
    pixels = Pixels(image, box, coarsest=scale)
    crop = pixels.sample(back[None], side, side)[0]
    return np.ascontiguousarray(crop.transpose(2, 0, 1))
