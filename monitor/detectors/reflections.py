"""Highlights on the corneas: both eyes see the same lamps and windows.

Inside each iris the place of the highlight is compared between the eyes (after Hu et al. 2021,
"Exposing GAN-generated faces using inconsistent corneal specular highlights", who compare masks of
irises ten times as large): the value is the distance of both places in radii of the iris, in the
typical crop. A crop of 224 pixels shows an iris 11 pixels wide however well it was filmed, so
places are compared, which average over pixels, and an iris must have been filmed at least that
wide: faces of 240 pixels. Most call video is too small for this, and abstains.

The null: the highlight of the same eye one crop earlier against one at a random place of the iris.
A highlight that does not stay where it is, eye by eye, was not measured.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import (
    SEPARABLE,
    Floats,
    abstained,
    chance,
    crop_pose,
    luma,
    sampled,
    shown,
)
from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import LEFT_EYE, LEFT_IRIS, RIGHT_EYE, RIGHT_IRIS

FEWEST_CROPS = 3
IRIS_PX = 11.0
"""Filmed pixels of an iris's diameter: no crop shows it wider."""
MOST_YAW = 20.0
"""Degrees; beyond, one cornea shows another part of the room."""
_SIDE = 20
"""Samples across the square around an iris."""
_REACH = 0.75
"""Radii from the centre within which highlights are looked for: the white of the eye is outside."""
_BRIGHT = 2.0
"""Standard deviations above the iris's mean from which light counts as a highlight."""
_CONTRAST = 40.0
"""Grey levels between a highlight's peak and the iris's median."""
_SPREAD = 0.2
"""Largest share of the iris that a highlight covers: more is glare, or the white of the eye."""
_OPEN = 0.18
"""Least height of an eye, as a share of its width."""

_STEPS = (np.arange(_SIDE) + 0.5) / _SIDE * 2 - 1
_INSIDE = _STEPS[None] ** 2 + _STEPS[:, None] ** 2 < _REACH**2

Place = tuple[float, float]
"""Right and down from the middle of the iris, in its radii."""


class Reflections:
    """Whether both eyes reflect the same light."""

    name = "reflections"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        """Return how far apart the highlights of the two eyes lie, in radii of the iris."""
        reason = shown(window, FEWEST_CROPS, 0.0)
        if reason is not None:
            return abstained(reason)
        across = [_diameter(window.crop_points, iris) for iris in (RIGHT_IRIS, LEFT_IRIS)]
        filmed = float(np.median(np.minimum(*across) * window.crop_scale))
        details = {"iris_px": filmed}
        if filmed < IRIS_PX:
            return abstained(AbstentionReason.FACE_TOO_SMALL, **details)
        ahead = np.abs(crop_pose(window)[:, 0]) <= MOST_YAW
        if ahead.sum() < FEWEST_CROPS:
            return abstained(AbstentionReason.FACE_TURNED, **details)
        opened = [
            (luma(crop), points)
            for crop, points, straight in zip(window.crops, window.crop_points, ahead, strict=True)
            if straight and min(_opening(points, eye) for eye in (RIGHT_EYE, LEFT_EYE)) >= _OPEN
        ]
        if len(opened) < FEWEST_CROPS:
            return abstained(AbstentionReason.OCCLUDED, **details)
        pairs = [
            tuple(highlight(picture, points[iris]) for iris in (RIGHT_IRIS, LEFT_IRIS))
            for picture, points in opened
        ]
        lit = np.array([pair for pair in pairs if None not in pair], np.float64)
        details["lit_share"] = len(lit) / len(pairs)
        if len(lit) < FEWEST_CROPS:
            return abstained(AbstentionReason.NO_FEATURE, **details)
        null = chance(
            -_steps(lit[:-1], lit[1:]), lambda rng: -_steps(_anywhere(lit[:-1], rng), lit[1:])
        )
        details["null_p_value"] = null
        if null > SEPARABLE:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        between = lit[:, 0] - lit[:, 1]
        details |= {
            "highlight_sideways_radii": float(np.median(between[:, 0])),
            "highlight_upright_radii": float(np.median(between[:, 1])),
        }
        return Reading(float(np.median(np.hypot(*between.T))), details=details)


def highlight(picture: Floats, iris: NDArray[np.float32]) -> Place | None:
    """Where one iris of a luma picture is bright; None where it is not, or is all over."""
    radius = max(float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean()), 0.5)
    x, y = (float(v) for v in iris[0])
    columns, rows = np.meshgrid(x + _STEPS * radius, y + _STEPS * radius)
    level = sampled(picture, columns, rows)
    within = level[_INSIDE]
    over = np.maximum(level - within.mean() - _BRIGHT * within.std(), 0) * _INSIDE
    peak = float(within.max() - np.median(within))
    if peak < _CONTRAST or not 0 < (over > 0).sum() <= _SPREAD * _INSIDE.sum():
        return None
    over /= over.sum()
    return float((over.sum(axis=0) * _STEPS).sum()), float((over.sum(axis=1) * _STEPS).sum())


def _steps(before: Floats, after: Floats) -> float:
    """Mean distance of places, shape (crops, 2 eyes, 2)."""
    return float(np.linalg.norm(after - before, axis=2).mean())


def _anywhere(like: Floats, rng: np.random.Generator) -> Floats:
    """Places spread evenly over the part of the iris that is looked at; same shape as `like`."""
    away = _REACH * np.sqrt(rng.random(like.shape[:2]))
    turn = 2 * np.pi * rng.random(like.shape[:2])
    return np.stack([away * np.cos(turn), away * np.sin(turn)], axis=2)


def _diameter(points: NDArray[np.float32], iris: slice) -> Floats:
    """Pixels, shape (crops,)."""
    ring = points[:, iris].astype(np.float64)
    return np.asarray(2 * np.linalg.norm(ring[:, 1:] - ring[:, :1], axis=2).mean(axis=1))


def _opening(points: NDArray[np.float32], eye: slice) -> float:
    ring = points[eye].astype(np.float64)
    height = np.linalg.norm(ring[1:8] - ring[15:8:-1], axis=1).max()
    return float(height / max(np.linalg.norm(ring[0] - ring[8]), 1e-3))
