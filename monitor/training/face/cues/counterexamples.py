"""Windows of genuine people with one thing broken: what each physical cue is there to notice.

Everything is made from the window itself. Nobody else's face or voice is put in, except that sound
may come too late.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import apart, face_axes
from monitor.types import SOUND_HZ, CueWindow
from monitor.types.landmarks import (
    LEFT_BROW,
    LEFT_EYE,
    LEFT_IRIS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)

Floats = NDArray[np.float64]
Breaking = Callable[[CueWindow], CueWindow]
LATE = 2.0
"""Seconds by which the voice is moved."""
SHAKING = 0.03
"""Deviation of a shaken face's place from picture to picture, in distances between the eyes."""
_NOISE = 2.0
"""Grey levels."""
_PATCH = 0.036
"""Half the side of a patch of hair, as a share of the crop's side."""
_SWING = 0.12
"""How far light goes up and down, as a share."""


def frozen_lids(window: CueWindow) -> CueWindow:
    """Eyes that never blink: they look as they do on most pictures, with a sensor's noise, and
    their landmarks keep the shape they have there."""
    points = window.points.copy()
    for eye in (RIGHT_EYE, LEFT_EYE):
        start, across = points[:, eye.start], points[:, eye.start + 8] - points[:, eye.start]
        shape = _along(points[:, eye] - start[:, None], across)
        points[:, eye] = start[:, None] + _back(np.median(shape, axis=0)[None], across)
    noise = np.random.default_rng(0).normal(0, _NOISE, window.eyes.shape)
    usual = np.median(window.eyes, axis=0) if len(window.eyes) else 0.0
    eyes = np.clip(np.rint(usual + noise), 0, 255).astype(np.uint8)
    return replace(window, points=points, eyes=eyes)


def turned_iris(window: CueWindow) -> CueWindow:
    """The left eye's highlight on the opposite side of its iris: lit by another lamp."""
    crops = window.crops.copy()
    for crop, points in zip(crops, window.crop_points, strict=True):
        ring = points[LEFT_IRIS]
        half = round(float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean()))
        column, row = (round(float(v) - 0.5) for v in ring[0])
        inside = (slice(row - half, row + half + 1), slice(column - half, column + half + 1))
        part = crop[:, *inside]
        if min(row, column) >= half and part.shape[1:] == (2 * half + 1,) * 2:
            y, x = np.mgrid[-half : half + 1, -half : half + 1]
            disc = x**2 + y**2 <= half**2
            crop[:, *inside] = np.where(disc, part[:, ::-1, ::-1], part)
    return replace(window, crops=crops)


def redrawn_hair(window: CueWindow) -> CueWindow:
    """Brows, moustache and chin with their own texture, turned another way in every crop."""
    crops = window.crops.copy()
    half = round(_PATCH * crops.shape[-1])
    for number, (crop, points) in enumerate(zip(crops, window.crop_points, strict=True)):
        for column, row in np.rint(_hair(points)).astype(int):
            part = crop[:, row - half : row + half, column - half : column + half]
            if min(row, column) >= half and part.shape[1:] == (2 * half, 2 * half):
                part[:] = np.rot90(part, number % 4, (1, 2))
    return replace(window, crops=crops)


def lit(window: CueWindow) -> CueWindow:
    """A cloud passes: all of the picture grows darker and lighter. Nothing is wrong with it."""
    return _lit(window, core=True)


def relit_rim(window: CueWindow) -> CueWindow:
    """The same cloud, and the core of the face grows lighter where the rim grows darker."""
    return _lit(window, core=False)


def shaken_inside(window: CueWindow) -> CueWindow:
    """Eyes, nose and mouth jump against the outline from picture to picture."""
    rng = np.random.default_rng(0)
    points = window.points.copy()
    step = rng.normal(0, SHAKING, (len(points), 1, 2)) * apart(window.points)[:, None, None]
    inside = np.ones(points.shape[1], bool)
    inside[OVAL] = False
    points[:, inside] += step.astype(np.float32)
    return replace(window, points=points)


def late_voice(window: CueWindow) -> CueWindow:
    """The window's own sound `LATE` seconds late; what falls off its end comes first."""
    return replace(window, sound=np.roll(window.sound, round(LATE * SOUND_HZ), axis=0))


def beating(window: CueWindow, beats: float = 1.2) -> CueWindow:
    """Skin that grows redder and paler `beats` times a second, as much as a heart makes it."""
    wave = np.sin(2 * np.pi * beats * window.times)[:, None, None]
    share = 0.005 * wave * np.array([0.33, 0.77, 0.53])
    return replace(window, skin=(window.skin * (1 + share)).astype(np.float32))


def bloodless(window: CueWindow) -> CueWindow:
    """Skin that keeps its mean colour."""
    steady = window.skin.mean(axis=0, keepdims=True) if len(window.skin) else window.skin
    return replace(window, skin=np.broadcast_to(steady, window.skin.shape).copy())


CASES: Mapping[str, tuple[Breaking | None, Breaking]] = {
    "blink": (None, frozen_lids),
    "expression": (None, shaken_inside),
    "lighting": (lit, relit_rim),
    "facial_hair": (None, redrawn_hair),
    "reflections": (None, turned_iris),
    "sync": (None, late_voice),
    "pulse": (beating, bloodless),
}
"""By cue: what has to happen before there is anything to measure, if anything, and what is wrong
in the counter-example."""


def _lit(window: CueWindow, core: bool) -> CueWindow:
    count, side = len(window.crops), window.crops.shape[-1]
    gains = 1 + _SWING * np.sin(2 * np.pi * np.arange(count) / max(count / 2, 2))
    crops = window.crops.copy()
    rows, columns = np.mgrid[:side, :side]
    for crop, points, gain in zip(crops, window.crop_points, gains, strict=True):
        factor = np.full((side, side), gain)
        if not core:
            factor[_core(points, rows, columns)] = 2 - gain
        crop[:] = np.clip(np.rint(crop * factor), 0, 255)
    return replace(window, crops=crops)


def _core(points: NDArray[np.float32], rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Floats:
    """Forehead, eyes, cheeks and mouth: an ellipse that leaves the rim alone."""
    outline = points[OVAL].astype(np.float64)
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    half = 0.33 * np.ptp(outline, axis=0)
    x, y = (columns + 0.5 - middle[0]) / half[0], (rows + 0.5 - middle[1]) / (1.3 * half[1])
    return np.asarray(x**2 + y**2 < 1)


def _hair(points: NDArray[np.float32]) -> Floats:
    """Middles of brows, both halves of the moustache and of the chin, shape (6, 2)."""
    found = points.astype(np.float64)
    across, _ = face_axes(points)
    lips, chin = found[OUTER_LIPS], found[OVAL][9]
    aside = np.array([[-0.15], [0.15]]) * across
    brows = [found[RIGHT_BROW].mean(axis=0), found[LEFT_BROW].mean(axis=0)]
    return np.concatenate(
        [brows, (lips[9] + found[99]) / 2 + aside, lips[3] * 0.45 + chin * 0.55 + aside]
    )


def _along(points: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Points (pictures, n, 2) in units of a vector and its normal, as complex numbers."""
    z, unit = points[..., 0] + 1j * points[..., 1], across[:, 0] + 1j * across[:, 1]
    return np.asarray(z / unit[:, None], np.complex64)


def _back(shape: NDArray[np.complex64], across: NDArray[np.float32]) -> NDArray[np.float32]:
    z = shape * (across[:, 0] + 1j * across[:, 1])[:, None]
    return np.stack([z.real, z.imag], axis=-1).astype(np.float32)
