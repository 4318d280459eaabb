"""Landmarks → soft masks: which part of a face is pasted, and where its border runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFilter
from scipy.spatial import ConvexHull

from monitor.analysis.alignment import CROP_SIDE, TEMPLATE, Points
from monitor.training.face.pictures.crops import MARGIN, WIDE_SIDE
from monitor.types import landmarks as face

Mask = NDArray[np.float32]
"""Shape (288, 288), 0 to 1: the share of the pasted picture."""

WHOLE = ("oval", "face", "inner", "loose")
PARTIAL = ("eyes", "eye", "mouth", "lower", "brows", "beard")
REGIONS = (*WHOLE, *PARTIAL)
_EDGE = 16


@dataclass(frozen=True, slots=True)
class MaskShape:
    """How a region's outline becomes a mask."""

    growth: float = 1.0
    """Size of the outline against the landmarks'."""
    wobble: float = 0.02
    """Elastic deformation of the outline, in crop sides (deviation)."""
    blur: float = 4.0
    """Deviation of the soft border, pixels of the wide crop."""
    ratio: float = 1.0
    """Share of the pasted picture inside."""


def typical_points() -> Points:
    """All 104 landmarks of a face that lies as in `TEMPLATE`, in pixels of the wide crop.

    A rough stand-in made of ellipses, for pictures without landmarks of their own.
    """
    points = np.zeros((face.POINTS, 2))
    right, left, nose, *corners = TEMPLATE
    mouth = np.mean(corners, axis=0)

    def ring(where: slice, centre: Points, across: float, down: float, start: float) -> None:
        count = where.stop - where.start
        angle = start + 2 * np.pi * np.arange(count) / count
        points[where] = centre + np.stack([across * np.cos(angle), down * np.sin(angle)], 1)

    ring(face.RIGHT_EYE, right, 0.06, 0.022, np.pi)
    ring(face.LEFT_EYE, left, 0.06, 0.022, 0.0)
    ring(face.RIGHT_IRIS, right, 0.02, 0.02, 0.0)
    ring(face.LEFT_IRIS, left, 0.02, 0.02, 0.0)
    ring(face.OUTER_LIPS, mouth, 0.13, 0.05, np.pi)
    ring(face.INNER_LIPS, mouth, 0.1, 0.015, np.pi)
    ring(face.OVAL, np.array([0.5, 0.55]), 0.25, 0.33, -np.pi / 2)
    for brow, centre in ((face.RIGHT_BROW, right), (face.LEFT_BROW, left)):
        points[brow] = centre + np.stack([np.linspace(-0.08, 0.08, 5), np.full(5, -0.075)], 1)
    across = np.array([0, 0, 0, 0, 0, 0, -0.05, 0.05, -0.07, 0.07])
    down = np.array([-0.15, -0.1, -0.06, -0.02, 0, 0.03, 0.02, 0.02, 0.0, 0.0])
    points[face.NOSE] = nose + np.stack([across, down], 1)
    return points * CROP_SIDE + MARGIN


def outline(points: Points, region: str, rng: np.random.Generator) -> list[Points]:
    """Closed polygons of a region; `points` (104, 2). Raises KeyError for an unknown region."""
    brows = np.concatenate([points[face.RIGHT_BROW], points[face.LEFT_BROW]])
    eyes = [points[face.RIGHT_EYE], points[face.LEFT_EYE]]
    lips, nose, oval = points[face.OUTER_LIPS], points[face.NOSE], points[face.OVAL]
    # The upper third of the oval lies above the brows; what swaps paste often ends there.
    middle = brows[:, 1].mean()
    below = oval[oval[:, 1] > middle]
    if region == "oval":
        return [oval]
    if region == "face":
        return [_hull(np.concatenate([below, brows]))]
    if region == "inner":
        return [_hull(np.concatenate([brows, *eyes, nose, lips]))]
    if region == "loose":
        some = rng.choice(len(points), int(rng.integers(12, 40)), replace=False)
        return [_hull(points[some])]
    if region == "eyes":
        return [_grown(_hull(np.concatenate(eyes)), 1.25)]
    if region == "eye":
        return [_grown(eyes[int(rng.integers(2))], 1.6)]
    if region == "mouth":
        return [_grown(lips, float(rng.uniform(1.1, 1.6)))]
    if region == "lower":
        half = oval[oval[:, 1] > nose[5, 1] - 4]
        return [_hull(np.concatenate([half, nose[6:8]]))] if len(half) > 2 else [_grown(lips, 1.8)]
    if region == "brows":
        right, left = points[face.RIGHT_BROW], points[face.LEFT_BROW]
        return [_thickened(right), _thickened(left)]
    if region == "beard":
        cheeks = below[below[:, 1] > nose[4, 1]]
        return [_hull(np.concatenate([cheeks, nose[6:8]]))] if len(cheeks) > 2 else [lips]
    raise KeyError(region)


def draw(points: Points, region: str, shape: MaskShape, rng: np.random.Generator) -> Mask:
    """The mask of a region, never at the picture's edge."""
    canvas = Picture.new("L", (WIDE_SIDE, WIDE_SIDE))
    pen = ImageDraw.Draw(canvas)
    field = rng.normal(0, shape.wobble * CROP_SIDE, (6, 6, 2))
    for polygon in outline(points, region, rng):
        bent = _bent(_dense(_grown(polygon, shape.growth)), field)
        pen.polygon([(float(x), float(y)) for x, y in bent], fill=255)
    if region == "beard":
        pen.polygon([(float(x), float(y)) for x, y in points[face.OUTER_LIPS]], fill=0)
    soft = canvas.filter(ImageFilter.GaussianBlur(shape.blur)) if shape.blur else canvas
    mask = np.asarray(soft, np.float32) / 255
    peak = float(mask.max())
    if peak > 0:
        mask = mask / peak
    return np.asarray(mask * _frame(), np.float32)


def border(mask: Mask) -> Mask:
    """Where both pictures mix: 1 at equal shares, 0 inside and outside (Face X-ray)."""
    return np.asarray(4 * mask * (1 - mask), np.float32)


def _frame() -> Mask:
    """1 inside, falling to 0 over the last pixels of the picture."""
    away = np.minimum(np.arange(WIDE_SIDE), np.arange(WIDE_SIDE)[::-1])
    ramp = np.clip(away / _EDGE, 0, 1).astype(np.float32)
    return np.asarray(ramp[:, None] * ramp[None], np.float32)


def _hull(points: Points) -> Points:
    return np.asarray(points[ConvexHull(points).vertices])


def _grown(polygon: Points, factor: float) -> Points:
    centre = polygon.mean(axis=0)
    return np.asarray(centre + factor * (polygon - centre))


def _thickened(line: Points) -> Points:
    """A band around a line, a third as thick as long."""
    half = float(np.linalg.norm(line[-1] - line[0])) / 6
    return np.concatenate([line - [0, half], line[::-1] + [0, half]])


def _dense(polygon: Points) -> Points:
    """The same polygon with eight points on every side."""
    step = np.arange(8)[None, :, None] / 8
    ahead = np.roll(polygon, -1, axis=0)
    return np.asarray(polygon[:, None] + step * (ahead - polygon)[:, None]).reshape(-1, 2)


def _bent(points: Points, field: NDArray[np.float64]) -> Points:
    """Points moved by a smooth field, given on a grid over the picture."""
    last = len(field) - 1
    at = np.clip(points / WIDE_SIDE, 0, 0.999) * last
    cell = at.astype(int)
    part = at - cell
    x, y = cell.T
    moved = np.zeros_like(points)
    for dx, wx in ((0, 1 - part[:, 0]), (1, part[:, 0])):
        for dy, wy in ((0, 1 - part[:, 1]), (1, part[:, 1])):
            moved += (wx * wy)[:, None] * field[y + dy, x + dx]
    return points + moved
