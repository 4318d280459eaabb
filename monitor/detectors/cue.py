"""What physical cues share: how much of a window can be measured, and whether a measurement holds.

A cue that cannot tell its measurement from one of deliberately broken input of the same window must
not speak: `chance` is that test. What is broken must be the instrument's input and not the claim
itself, or a forgery would pass for a bad picture: where two parts of a face are claimed to agree,
the test is that a part agrees with itself.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import LEFT_EYE, POINTS, RIGHT_EYE

Floats = NDArray[np.float64]
HOLE = 0.35
"""Seconds without a picture that end a burst."""
NULLS = 99
"""Broken inputs that a measurement is held against."""
SEPARABLE = 0.2
"""Largest share of broken inputs that may look as good as the true one."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in brightness, ITU-R BT.601."""
CROPPED_EYES_PX = 44.0
"""Pixels between the eyes of a face 80 pixels wide: narrower ones get no crop."""
LATE = 0.95
"""Share of a nominal rate that is enough: pictures do not come on a grid."""


def abstained(reason: AbstentionReason, **details: float) -> Reading:
    """A reading that says why there is no value."""
    return Reading(None, reason, details)


def rate(times: Floats) -> float:
    """Pictures a second within bursts; 0 for fewer than two."""
    steps = np.diff(times)
    steps = steps[steps < HOLE]
    return len(steps) / max(float(steps.sum()), 1e-6) if len(steps) else 0.0


def usable_seconds(times: Floats) -> float:
    """Seconds covered by bursts."""
    steps = np.diff(times)
    return float(steps[steps < HOLE].sum())


def bursts(times: Floats) -> list[slice]:
    """Runs of pictures without a hole."""
    if not len(times):
        return []
    ends = [0, *(np.flatnonzero(np.diff(times) >= HOLE) + 1), len(times)]
    return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def apart(points: NDArray[np.float32]) -> Floats:
    """Pixels between the middles of the eyes, shape (pictures,); points (pictures, POINTS, 2)."""
    gap = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)
    return np.asarray(np.maximum(np.hypot(gap[:, 0], gap[:, 1]), 1e-3), np.float64)


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's coefficient; 0 where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 1e-12 else 0.0


def chance(true: float, broken: Callable[[np.random.Generator], float]) -> float:
    """Share of broken inputs whose measurement is at least `true`; the same every time."""
    rng = np.random.default_rng(0)
    better = sum(broken(rng) >= true for _ in range(NULLS))
    return (1 + better) / (1 + NULLS)


def rolled(series: Floats, rng: np.random.Generator) -> Floats:
    """The series begun somewhere else: its own ups and downs at the wrong times."""
    margin = max(1, len(series) // 8)
    return np.roll(series, int(rng.integers(margin, max(margin + 1, len(series) - margin))))


def moving(
    window: CueWindow, fewest_hz: float, fewest_seconds: float, eyes_px: float, most_yaw: float
) -> AbstentionReason | None:
    """Why what moves in a window cannot be measured, or None."""
    if len(window.times) < 2:
        return AbstentionReason.FEW_PICTURES
    if not (np.isfinite(window.points).all() and np.isfinite(window.pose).all()):
        return AbstentionReason.FAULT
    if rate(window.times) < LATE * fewest_hz:
        return AbstentionReason.FEW_PICTURES
    if usable_seconds(window.times) < fewest_seconds:
        return AbstentionReason.TOO_SHORT
    if float(np.median(apart(window.points))) < eyes_px:
        return AbstentionReason.FACE_TOO_SMALL
    if float(np.median(np.abs(window.pose[:, 0]))) > most_yaw:
        return AbstentionReason.FACE_TURNED
    return None


def shown(window: CueWindow, fewest: int, eyes_px: float) -> AbstentionReason | None:
    """Why what crops show cannot be measured, or None; `eyes_px` are filmed pixels."""
    if len(window.crops) < fewest:
        small = len(window.points) and float(np.median(apart(window.points))) < CROPPED_EYES_PX
        return AbstentionReason.FACE_TOO_SMALL if small else AbstentionReason.TOO_SHORT
    if not (np.isfinite(window.crop_points).all() and np.isfinite(window.crop_scale).all()):
        return AbstentionReason.FAULT
    if float(np.median(apart(window.crop_points) * window.crop_scale)) < eyes_px:
        return AbstentionReason.FACE_TOO_SMALL
    return None


def crop_pose(window: CueWindow) -> Floats:
    """Yaw, pitch and roll of each crop, shape (crops, 3): that of the nearest picture.

    Zeros without pictures.
    """
    if not len(window.times):
        return np.zeros((len(window.crops), 3))
    near = np.abs(window.times[None] - window.crop_times[:, None]).argmin(axis=1)
    return np.asarray(window.pose[near], np.float64)


def luma(crop: NDArray[np.uint8]) -> Floats:
    """Brightness of a crop (3, side, side), 0 to 255."""
    return np.asarray(np.tensordot(LUMA, crop.astype(np.float64), 1))


def sampled(picture: Floats, x: Floats, y: Floats) -> Floats:
    """Values of a picture between its pixels, bilinear; its edge repeats.

    A pixel's centre lies at (column + 0.5, row + 0.5), as with landmarks.
    """
    columns, rows = (np.asarray(v - 0.5, np.float32) for v in (x, y))
    values = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float64)


def face_axes(points: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Vectors of one landmarked face (POINTS, 2): from eye to eye as seen, and as far down."""
    assert points.shape == (POINTS, 2)
    across = (points[LEFT_EYE].mean(axis=0) - points[RIGHT_EYE].mean(axis=0)).astype(np.float64)
    return across, np.array([-across[1], across[0]])
