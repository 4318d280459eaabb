"""Facial hair: whether a beard and brows are the same ones a second later.

Generators that draw hair afresh in every picture draw other hair. The fine texture of moustache,
chin and brows is looked for again in the next crop, within a few pixels, and so is that of the
nostrils and the inner corners of the eyes, which everybody has and which are filmed and compressed
alike. The value is how much worse the hair is found again than these, as a difference of Fisher's z
of both correlations, for the part of the hair that is found worst. Parts without more fine texture
than the cheeks are shaven, or too soft, and are left out.

The null: the same nostrils and corners at wrong places near by. Where they are not found again
better than anywhere else, nothing fine survives from crop to crop, and the cue abstains.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import (
    NULLS,
    SEPARABLE,
    Floats,
    abstained,
    crop_pose,
    face_axes,
    luma,
    sampled,
    shown,
)
from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import LEFT_BROW, OUTER_LIPS, OVAL, RIGHT_BROW

FEWEST_CROPS = 4
EYES_PX = 59.0
"""Filmed pixels between the eyes: as many as a crop has, or it shows hair that nobody filmed."""
MOST_YAW = 30.0
ALIKE = 8.0
"""Degrees between two crops that can still be compared."""
HAIRY = 1.3
"""Least ratio of a part's fine texture to the cheeks'."""
_SHARP = 1.0
"""Grey levels of fine texture at nostrils and corners, below which compression took it all."""
_HALF = 0.13
"""Half the side of a part, in distances between the eyes."""
_SIDE = 16
"""Samples along a part's side: about one a pixel."""
_NEAR, _FAR = 3, 12
"""Pixels within which hair is found again, and up to which wrong places lie."""
_NOSTRILS = (100, 101)
_CORNERS = (8, 24)


class FacialHair:
    """How well facial hair is found again."""

    name = "facial_hair"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        """Return how much worse hair is found again than the rest of the face."""
        reason = shown(window, FEWEST_CROPS, EYES_PX)
        if reason is not None:
            return abstained(reason)
        pose = crop_pose(window)
        if float(np.median(np.abs(pose[:, 0]))) > MOST_YAW:
            return abstained(AbstentionReason.FACE_TURNED)
        fine = [_fine(luma(crop)) for crop in window.crops]
        places = [_places(points) for points in window.crop_points]
        steps = np.abs(np.diff(pose[:, :2], axis=0)).max(axis=1)
        pairs = [(i, i + 1) for i in np.flatnonzero(steps < ALIKE)]
        if len(pairs) < FEWEST_CROPS - 1:
            return abstained(AbstentionReason.TOO_SHORT, pairs=float(len(pairs)))
        strength = {
            name: float(
                np.median([_strength(f, p[name]) for f, p in zip(fine, places, strict=True)])
            )
            for name in places[0]
        }
        details = {
            "pairs": float(len(pairs)),
            "cheek_texture": strength["cheeks"],
            "reference_texture": strength["reference"],
        }
        if strength["reference"] < _SHARP:
            return abstained(AbstentionReason.BLURRED, **details)
        again = {
            name: np.stack(
                [_again(fine[a], fine[b], places[a][name], places[b][name]) for a, b in pairs]
            )
            for name, level in strength.items()
            if name == "reference" or (name != "cheeks" and level >= HAIRY * strength["cheeks"])
        }
        reference = _found(again["reference"])
        null = _chance(again.pop("reference"))
        details |= {"reference_correlation": reference, "null_p_value": null}
        if null > SEPARABLE:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        if not again:
            return abstained(AbstentionReason.NO_FEATURE, **details)
        hair = {name: _found(maps) for name, maps in again.items()}
        details |= {f"{name}_correlation": found for name, found in hair.items()}
        return Reading(_z(reference) - _z(min(hair.values())), details=details)


def _fine(picture: Floats) -> Floats:
    """What of a picture is finer than some five pixels."""
    return np.asarray(picture - cv2.blur(picture, (5, 5), borderType=cv2.BORDER_REPLICATE))


def _places(points: NDArray[np.float32]) -> dict[str, Floats]:
    """Middles of the parts of one face, shape (squares, 2) each."""
    found = points.astype(np.float64)
    across, down = face_axes(points)
    right, left = found[:16].mean(axis=0), found[16:32].mean(axis=0)
    lips, chin = found[OUTER_LIPS], found[OVAL][9]
    below = lips[3] * 0.45 + chin * 0.55
    return {
        "reference": found[[*_NOSTRILS, *_CORNERS]],
        "cheeks": np.stack([right, left]) + 0.6 * down,
        "moustache": (lips[9] + found[99]) / 2 + np.array([[-0.15], [0.15]]) * across,
        "chin": below + np.array([[-0.15], [0.15]]) * across,
        "brows": np.stack([found[RIGHT_BROW].mean(axis=0), found[LEFT_BROW].mean(axis=0)]),
    }


def _grid(place: Floats, half: float, beyond: int = 0) -> tuple[Floats, Floats]:
    """Columns and rows of the samples of a square, and `beyond` more of them on every side."""
    step = 2 * half / _SIDE
    along = (np.arange(-beyond, _SIDE + beyond) + 0.5 - _SIDE / 2) * step
    columns, rows = np.meshgrid(place[0] + along, place[1] + along)
    return columns, rows


def _side(fine: Floats) -> float:
    """Half the side of a square: crops are aligned, so their eyes are equally far apart."""
    return float(_HALF * 0.263 * fine.shape[0])


def _strength(fine: Floats, places: Floats) -> float:
    half = _side(fine)
    return float(np.mean([np.abs(sampled(fine, *_grid(place, half))).mean() for place in places]))


def _again(before: Floats, after: Floats, where: Floats, there: Floats) -> Floats:
    """Correlation of each square with the next crop at every shift, (squares, shifts, shifts)."""
    half, maps = _side(before), []
    for old, new in zip(where, there, strict=True):
        patch = sampled(before, *_grid(old, half)).astype(np.float32)
        area = sampled(after, *_grid(new, half, _FAR)).astype(np.float32)
        maps.append(cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED))
    return np.stack(maps).astype(np.float64)


def _best(maps: Floats, row: int, column: int) -> Floats:
    part = maps[..., row - _NEAR : row + _NEAR + 1, column - _NEAR : column + _NEAR + 1]
    return np.asarray(part.max(axis=(-2, -1)))


def _found(maps: Floats) -> float:
    """How well a part is found again where it should be: its squares' mean, the pairs' median."""
    return float(np.median(_best(maps, _FAR, _FAR).mean(axis=1)))


def _chance(maps: Floats) -> float:
    """Share of wrong places at which the part is found as well as where it should be."""
    rng = np.random.default_rng(0)
    true, better = _found(maps), 0
    for _ in range(NULLS):
        turn = 2 * np.pi * rng.random()
        away = _FAR - _NEAR
        row, column = (_FAR + round(away * float(f(turn))) for f in (np.sin, np.cos))
        better += float(np.median(_best(maps, row, column).mean(axis=1))) >= true
    return (1 + better) / (1 + NULLS)


def _z(correlation: float) -> float:
    return float(np.arctanh(np.clip(correlation, -0.95, 0.95)))
