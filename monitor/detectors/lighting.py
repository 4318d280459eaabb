"""Skin tone and lighting: when the light changes, all of the face changes.

The brightness of the core of the face (forehead, cheeks) is held against that of its rim (temples,
jaw), where a pasted face ends. Only changes count, as skin and shade differ from person to person
and from part to part: the value is one minus the correlation of core and rim over the light's ups
and downs. Brightness is compared on a logarithmic scale, where light and dark skin change alike.
Colour against the neck is shown and does not count: collars, beards and make-up differ as well.

A call's minute holds a dozen crops; six of them, and one change of 3 % that a camera's control, a
cloud or a screen makes, are asked for. Without such an event there is nothing to compare.

The null: one half of the rim at other times. Where both halves do not follow each other, a head
that turns through uneven light changes them, and not the light.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import (
    LUMA,
    SEPARABLE,
    Floats,
    abstained,
    chance,
    correlation,
    crop_pose,
    face_axes,
    shown,
)
from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import LEFT_EYE, OVAL, RIGHT_EYE

FEWEST_CROPS = 6
CHANGE = 0.03
"""Least deviation of the rim's brightness over time, as a ratio."""
EYES_PX = 30.0
MOST_YAW = 30.0
_DARK = 12.0
"""Grey levels below which noise is most of what is measured."""
_BURNT = 250.0
"""Grey levels above which there is no change left to see."""


class Lighting:
    """Whether core and rim of the face share their light."""

    name = "lighting"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        """Return one minus the correlation of core and rim, 0 to 2."""
        reason = shown(window, FEWEST_CROPS, EYES_PX)
        if reason is not None:
            return abstained(reason)
        if float(np.median(np.abs(crop_pose(window)[:, 0]))) > MOST_YAW:
            return abstained(AbstentionReason.FACE_TURNED)
        # Shape (crops, core | right rim | left rim | neck, RGB).
        colour = np.stack(
            [_colours(c, p) for c, p in zip(window.crops, window.crop_points, strict=True)]
        )
        level = colour @ LUMA
        details = {
            "core_luma": float(np.median(level[:, 0])),
            "face_neck_contrast": _contrast(colour),
        }
        if not _DARK <= np.median(level[:, :3]) <= _BURNT:
            return abstained(AbstentionReason.OCCLUDED, **details)
        core, right, left = np.log(np.maximum(level[:, :3], 1.0)).T
        rim = (right + left) / 2
        details |= {
            "rim_change_ratio": float(rim.std()),
            "core_to_rim_ratio": float(np.exp((core - rim).mean())),
        }
        if rim.std() < CHANGE:
            return abstained(AbstentionReason.NO_FEATURE, **details)
        halves = correlation(right, left)
        null = chance(halves, lambda rng: correlation(right, rng.permutation(left)))
        details |= {"halves_correlation": halves, "null_p_value": null}
        if null > SEPARABLE:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        together = correlation(core, rim)
        details["correlation"] = together
        return Reading(1 - together, details=details)


def _contrast(colour: Floats) -> float:
    """Distance of the core's and the neck's typical colours, without their brightness."""
    core, neck = (np.median(colour[:, part], axis=0) for part in (0, 3))
    share = [c / max(float(c.sum()), 1.0) for c in (core, neck)]
    return float(np.linalg.norm(share[0] - share[1]))


def _colours(crop: NDArray[np.uint8], points: NDArray[np.float32]) -> Floats:
    """Mean colours of core, right rim, left rim and below the chin, shape (4, 3), RGB."""
    across, down = face_axes(points)
    right, left = points[RIGHT_EYE].mean(axis=0), points[LEFT_EYE].mean(axis=0)
    outline, centre = points[OVAL].astype(np.float64), points.mean(axis=0)
    # A tenth inside the outline: skin, and what a mask's edge would cover.
    rim = outline + 0.1 * (centre - outline)
    parts = (
        np.stack([(right + left) / 2 - 0.5 * down, right + 0.6 * down, left + 0.6 * down]),
        rim[10:15],
        rim[4:9],
        outline[9] + 0.3 * down + np.array([[-0.25], [0.0], [0.25]]) * across,
    )
    half = 0.1 * float(np.hypot(*across))
    return np.stack([_mean(crop, places, half) for places in parts])


def _mean(crop: NDArray[np.uint8], places: Floats, half: float) -> Floats:
    """Mean colour of squares, those outside the crop left out; zeros if all are."""
    side, colours = crop.shape[1], []
    for x, y in places:
        top, bottom, first, last = (
            min(max(round(float(v)), 0), side) for v in (y - half, y + half, x - half, x + half)
        )
        if bottom > top and last > first:
            colours.append(crop[:, top:bottom, first:last].mean(axis=(1, 2)))
    return np.mean(colours, axis=0) if colours else np.zeros(3)
