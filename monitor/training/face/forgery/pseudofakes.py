"""One photograph → a forged twin of it: something of itself pasted onto itself.

Shiohara and Yamasaki 2022, "Detecting Deepfakes with Self-Blended Images", and its relatives:
parts only (eyes, lips, beard), the output of an autoencoder, the traces of enlarging. Nothing of
another person is ever put in.
"""

from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageFilter
from scipy import ndimage

from monitor.analysis.alignment import Points
from monitor.training.face.forgery import masks
from monitor.training.face.forgery.masks import Mask, MaskShape
from monitor.training.face.pictures.crops import WIDE_SIDE

Pixels = NDArray[np.uint8]
"""A wide crop, shape (288, 288, 3), RGB."""
SELF_BLEND, PARTIAL, TWIN, ENLARGED = "self_blend", "partial", "twin", "enlarged"
KINDS = {SELF_BLEND: 0.45, PARTIAL: 0.17, TWIN: 0.26, ENLARGED: 0.12}
"""And how often each is made."""
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
CHANGES = ("colour", "light", "soft", "sharp", "noise", "jpeg")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one forgery is made, apart from its random draws."""

    kind: str
    region: str
    """One of `masks.REGIONS`, or `crop`: everything."""
    shape: MaskShape
    changes: tuple[str, ...] = ()
    """What is done to the pasted picture."""
    strength: float = 1.0
    shift: float = 0.0
    """Size of the pasted picture's shift, turn and zoom; 1 as published."""
    method: int = 0
    """Which autoencoder, or which way of enlarging."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """A pair from one picture."""

    real: Pixels
    fake: Pixels
    mask: Mask
    border: Mask | None
    """None where everything is replaced, so that nothing can border on anything."""


def drawn_recipe(rng: np.random.Generator, kinds: dict[str, float] = KINDS) -> Recipe:
    """A recipe at random."""
    names = list(kinds)
    share = np.array(list(kinds.values()))
    kind = names[int(rng.choice(len(names), p=share / share.sum()))]
    shape = MaskShape(
        growth=float(rng.uniform(0.85, 1.1)),
        wobble=float(rng.uniform(0.0, 0.03)),
        blur=float(np.exp(rng.uniform(np.log(0.8), np.log(11)))),
        ratio=float(rng.choice(RATIOS)),
    )
    regions = masks.WHOLE if kind == SELF_BLEND else masks.REGIONS
    recipe = Recipe(
        kind=kind,
        region=str(rng.choice(masks.PARTIAL if kind == PARTIAL else regions)),
        shape=shape,
        method=int(rng.integers(12)),
    )
    if kind in (SELF_BLEND, PARTIAL):
        count = int(rng.integers(1, 4))
        return replace(
            recipe,
            changes=tuple(str(c) for c in rng.choice(CHANGES, count, replace=False)),
            strength=float(rng.uniform(0.4, 1.3)),
            shift=float(rng.choice([0, 0.5, 1, 1])),
        )
    if rng.random() < (0.3 if kind == TWIN else 0.15):
        recipe = replace(recipe, region="crop")
    return replace(recipe, shape=replace(shape, ratio=float(rng.choice([0.75, 1.0, 1.0]))))


def forge(
    picture: Pixels,
    points: Points,
    recipe: Recipe,
    rng: np.random.Generator,
    twins: NDArray[np.uint8] | None = None,
) -> Forgery:
    """Make the pair; `points` (104, 2) in pixels of `picture`, which is not changed.

    `twins`, shape (autoencoders, side, side, 3), are the same picture rebuilt; TWIN needs them.
    Outside the mask both members are equal. With half of the self-blends the change is made to
    both members first and the untouched picture is pasted: then the inside is the better part.
    """
    real = picture
    if recipe.kind in (SELF_BLEND, PARTIAL):
        changed = _changed(picture, recipe, rng)
        if rng.random() < 0.5:
            real, pasted = changed, picture
        else:
            pasted = changed
    elif recipe.kind == TWIN:
        if twins is None:
            raise ValueError("this recipe needs the autoencoders' twins")
        small = Picture.fromarray(twins[recipe.method % len(twins)])
        pasted = np.asarray(small.resize((WIDE_SIDE, WIDE_SIDE), Picture.Resampling.BICUBIC))
    elif recipe.kind == ENLARGED:
        pasted = _enlarged(picture, recipe.method, rng)
    else:
        raise ValueError(f"kind {recipe.kind!r}")
    if recipe.region == "crop":
        mask = np.ones(picture.shape[:2], np.float32)
        edge = None
    else:
        mask = masks.draw(points, recipe.region, recipe.shape, rng)
        edge = masks.border(mask)
    if recipe.shift:
        pasted, mask = _moved(pasted, mask, recipe.shift, rng)
        edge = masks.border(mask)
    share = mask * recipe.shape.ratio
    return Forgery(real, _mixed(real, pasted, share), share, edge)


def _mixed(real: Pixels, pasted: Pixels, share: Mask) -> Pixels:
    part = share[:, :, None]
    mixed = real.astype(np.float32) * (1 - part) + pasted.astype(np.float32) * part
    return np.asarray(np.rint(mixed), np.uint8)


def _changed(picture: Pixels, recipe: Recipe, rng: np.random.Generator) -> Pixels:
    """The pasted picture's look: colour, light, resolution, noise."""
    values = picture.astype(np.float32)
    by = recipe.strength
    for change in recipe.changes:
        if change == "colour":
            turn = np.eye(3) + rng.normal(0, 0.04 * by, (3, 3))
            values = values @ turn.T.astype(np.float32)
            values += rng.uniform(-18 * by, 18 * by, 3).astype(np.float32)
        elif change == "light":
            values = (values - 128) * float(1 + rng.uniform(-0.15, 0.15) * by) + 128
            values += float(rng.uniform(-20, 20) * by)
        elif change == "noise":
            values += rng.normal(0, 1 + 4 * by, picture.shape).astype(np.float32)
        else:
            values = _refocused(_bytes(values), change, by, rng).astype(np.float32)
    return _bytes(values)


def _refocused(picture: Pixels, change: str, by: float, rng: np.random.Generator) -> Pixels:
    image = Picture.fromarray(picture)
    if change == "soft":
        side = int(WIDE_SIDE / rng.uniform(1.3, 1.5 + 2 * by))
        ways = (Picture.Resampling.BILINEAR, Picture.Resampling.BICUBIC, Picture.Resampling.BOX)
        down, up = rng.choice(np.array(ways), 2)
        return np.asarray(image.resize((side, side), down).resize(image.size, up))
    if change == "sharp":
        amount = int(60 + 120 * by * rng.random())
        return np.asarray(image.filter(ImageFilter.UnsharpMask(float(rng.uniform(0.8, 2)), amount)))
    if change == "jpeg":
        return through_jpeg(picture, int(rng.integers(25, 80)))
    raise ValueError(f"change {change!r}")


def through_jpeg(picture: Pixels, quality: int) -> Pixels:
    """Encode and decode, 4:2:0."""
    file = BytesIO()
    Picture.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Picture.open(file))


def _enlarged(picture: Pixels, method: int, rng: np.random.Generator) -> Pixels:
    """Shrunk to a half or a quarter and enlarged again as generators do it."""
    factor = 2 if method % 2 == 0 or rng.random() < 0.5 else 4
    side = WIDE_SIDE // factor
    ways = (Picture.Resampling.BOX, Picture.Resampling.BICUBIC, Picture.Resampling.LANCZOS)
    way = ways[int(rng.integers(len(ways)))]
    small = np.asarray(Picture.fromarray(picture).resize((side, side), way)).astype(np.float32)
    if method % 3 == 0:
        spread = small.repeat(factor, 0).repeat(factor, 1)
        kernel = _kernel(3, rng)
        gain = 1.0
    elif method % 3 == 1:
        spread = np.zeros((side * factor, side * factor, 3), np.float32)
        spread[::factor, ::factor] = small
        kernel = _kernel(2 * factor - 1, rng)
        gain = float(factor * factor)
    else:
        image = Picture.fromarray(_bytes(small))
        back = image.resize((WIDE_SIDE, WIDE_SIDE), Picture.Resampling.BILINEAR)
        spread = np.asarray(back).astype(np.float32)
        kernel = _kernel(3, rng)
        gain = 1.0
    return _bytes(gain * ndimage.convolve(spread, kernel[:, :, None], mode="nearest"))


def _kernel(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A tent with some noise, sum 1: what a learned enlarging layer comes close to."""
    half = side // 2 + 1
    tent = half - np.abs(np.arange(side) - side // 2)
    kernel = np.outer(tent, tent) / half**2
    kernel = kernel * (1 + rng.normal(0, 0.15, kernel.shape))
    return np.asarray(kernel / kernel.sum(), np.float32)


def _moved(
    picture: Pixels, mask: Mask, size: float, rng: np.random.Generator
) -> tuple[Pixels, Mask]:
    """Picture and mask shifted by up to 3 %, zoomed by 5 %, turned by 2 degrees, times `size`."""
    zoom = float(np.exp(rng.uniform(-0.05, 0.05) * size))
    turn = np.radians(rng.uniform(-2, 2) * size)
    a, b = zoom * np.cos(turn), zoom * np.sin(turn)
    shift = rng.uniform(-0.03, 0.03, 2) * size * WIDE_SIDE
    half = WIDE_SIDE / 2
    x = half - a * half + b * half + shift[0]
    y = half - b * half - a * half + shift[1]
    data = (a, -b, x, b, a, y)
    frame = (WIDE_SIDE, WIDE_SIDE)
    affine = Picture.Transform.AFFINE
    moved = Picture.fromarray(picture).transform(frame, affine, data, Picture.Resampling.BICUBIC)
    shown = Picture.fromarray(mask).transform(frame, affine, data, Picture.Resampling.BILINEAR)
    return np.asarray(moved), np.asarray(shown, np.float32)


def _bytes(values: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)
