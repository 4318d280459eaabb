"""Patches → batches of crops as the service might cut them, and worse."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor
from torch.nn import functional

from monitor.analysis.landmarker import INPUT_SIDE
from monitor.training.face.landmarks.landmark_data import PATCH_SIDE, ROOM, Patches
from monitor.types.landmarks import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_IRIS,
    OUTER_LIPS,
    OVAL,
    POINTS,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_IRIS,
)

_SHIFT, _SCALE, _TURN = 0.15, 0.2, math.radians(20)
"""Jitter: shares of the crop's side, of its size, and radians."""
_MISPLACED = 0.1
"""Share of the faces whose crop is so far off that it must not be believed."""
_SIDES = (112, 112, 112, 80, 56, 40)
"""Pixels of a crop's side as it was filmed; multiples of `_BLOCK`."""
_BLOCK = 8
_DCT = torch.from_numpy(dct(np.eye(_BLOCK), norm="ortho", axis=0)).float()
_STEPS = torch.from_numpy(
    1 + 0.09 * np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK)) ** 1.5
).float()
"""How much coarser high frequencies are stored than the mean, about as the tables of JPEG have
it."""


def _mirrored() -> NDArray[np.intp]:
    """Which landmark takes each landmark's place in a mirror."""
    order = np.arange(POINTS)
    for right, left in (
        (RIGHT_EYE, LEFT_EYE),
        (RIGHT_BROW, LEFT_BROW),
        (slice(100, 101), slice(101, 102)),
        (slice(102, 103), slice(103, 104)),
    ):
        order[right], order[left] = np.r_[left], np.r_[right]
    order[RIGHT_IRIS], order[LEFT_IRIS] = [37, 40, 39, 38, 41], [32, 35, 34, 33, 36]
    for ring in (OUTER_LIPS, INNER_LIPS):
        at = np.arange(12)
        order[ring] = ring.start + (6 - at) % 12
    order[OVAL] = OVAL.start + (-np.arange(18)) % 18
    return order


MIRROR = _mirrored()


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops as the service might cut them."""

    crops: Tensor
    """Shape (batch, 3, INPUT_SIDE, INPUT_SIDE), float32 in [0, 1]."""
    points: Tensor
    """Shares of the crop's side, shape (batch, POINTS, 2)."""
    pose: Tensor
    """Degrees, shape (batch, 3)."""
    face: Tensor
    """1 where the crop shows the face about where it belongs, shape (batch,)."""


def batch(patches: Patches, rows: NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Jitter, mirror and spoil the patches of these rows."""
    count = len(rows)
    image = torch.from_numpy(patches.image[rows]).permute(0, 3, 1, 2).float() / 255
    points = torch.from_numpy(patches.points[rows]) / PATCH_SIDE * 2 - 1
    pose = torch.from_numpy(patches.pose[rows]).clone()
    shift = rng.uniform(-_SHIFT, _SHIFT, (count, 2))
    scale = np.exp(rng.uniform(-_SCALE, _SCALE, count))
    turn = rng.normal(0, _TURN / 2, count).clip(-_TURN, _TURN)
    misplaced = rng.random(count) < _MISPLACED
    for row in np.flatnonzero(misplaced):
        match rng.integers(3):
            case 0:
                side, along = rng.integers(2), rng.uniform(0.5, 0.9)
                shift[row, side] = along * rng.choice([-1, 1])
            case 1:
                scale[row] = rng.choice([rng.uniform(0.25, 0.45), rng.uniform(1.9, 2.5)])
            case _:
                turn[row] = rng.uniform(math.radians(75), math.radians(285))
    grid_of = _maps(shift * 2 / ROOM, scale / ROOM, turn)
    grid = functional.affine_grid(grid_of, [count, 3, INPUT_SIDE, INPUT_SIDE], align_corners=False)
    crops = functional.grid_sample(image, grid, align_corners=False, padding_mode="border")
    points = torch.einsum(
        "bij,bnj->bni", torch.linalg.inv(grid_of[:, :, :2]), points - grid_of[:, None, :, 2]
    )
    pose[:, 2] -= torch.from_numpy(np.degrees(turn)).float()
    flip = torch.from_numpy(rng.random(count) < 0.5)
    crops = torch.where(flip[:, None, None, None], crops.flip(3), crops)
    other = points[:, MIRROR] * torch.tensor([-1.0, 1.0])
    points = torch.where(flip[:, None, None], other, points)
    pose = torch.where(flip[:, None], pose * torch.tensor([-1.0, 1.0, -1.0]), pose)
    face = torch.from_numpy(patches.face[rows] & ~misplaced).float()
    return Batch(_spoiled(crops, rng), (points + 1) / 2, pose, face)


def _maps(
    shift: NDArray[np.float64], scale: NDArray[np.float64], turn: NDArray[np.float64]
) -> Tensor:
    """From crops to patches, both -1 to 1, shape (batch, 2, 3)."""
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    rows = [np.stack([cos, -sin, shift[:, 0]], 1), np.stack([sin, cos, shift[:, 1]], 1)]
    return torch.from_numpy(np.stack(rows, 1)).float()


def _spoiled(crops: Tensor, rng: np.random.Generator) -> Tensor:
    """Light, colour, softness, noise, coarse compression and covered parts, drawn for each."""
    count = len(crops)

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape))).float()

    for row in np.flatnonzero(rng.random(count) < 0.2):
        high, wide = rng.integers(10, 45, 2)
        top, left = rng.integers(0, INPUT_SIDE - high), rng.integers(0, INPUT_SIDE - wide)
        cover = crops[rng.integers(count), :, :high, :wide] if rng.random() < 0.5 else rng.random()
        crops[row, :, top : top + high, left : left + wide] = cover
    gain = drawn(0.6, 1.4, 1, 1, 1) * drawn(0.9, 1.1, 3, 1, 1)
    crops = ((crops - 0.5) * drawn(0.6, 1.4, 1, 1, 1) + 0.5 + drawn(-0.15, 0.15, 1, 1, 1)) * gain
    crops = crops.clamp(0, 1) ** drawn(0.7, 1.4, 1, 1, 1)
    grey = crops.mean(dim=1, keepdim=True)
    crops = torch.where(drawn(0, 1, 1, 1, 1) < 0.1, grey, crops)
    # One size for a slice of the batch: resampling is by whole tensors.
    out = []
    for part in crops.chunk(8):
        side = int(rng.choice(_SIDES))
        if side < INPUT_SIDE:
            mode = str(rng.choice(["bilinear", "area"]))
            part = functional.interpolate(part, size=(side, side), mode=mode)
        elif rng.random() < 0.3:
            part = functional.avg_pool2d(part, 3, 1, 1, count_include_pad=False)
        noise = torch.from_numpy(rng.standard_normal(part.shape, np.float32))
        part = part + noise * float(rng.uniform(0, 0.06) * (rng.random() < 0.5))
        if rng.random() < 0.6:
            part = coarse(part, float(np.exp(rng.uniform(math.log(0.01), math.log(0.12)))))
        if side < INPUT_SIDE:
            part = functional.interpolate(
                part, size=(INPUT_SIDE, INPUT_SIDE), mode="bilinear", align_corners=False
            )
        out.append(part)
    return torch.cat(out).clamp(0, 1)


def coarse(crops: Tensor, step: float) -> Tensor:
    """Crops as block transforms with coarse steps leave them, as in JPEG; sides are multiples of 8.

    `step` is the one of a block's mean, as a share of full brightness.
    """
    count, channels, rows, columns = crops.shape
    blocks = crops.reshape(count, channels, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    steps = _STEPS * step * 4
    kept = torch.round(torch.einsum("ui,vj,bcyixj->bcyxuv", _DCT, _DCT, blocks) / steps) * steps
    whole = torch.einsum("ui,vj,bcyxuv->bcyixj", _DCT, _DCT, kept)
    return whole.reshape(count, channels, rows, columns)
