"""Training pairs without end: a crop and its forgery, through the same camera and network."""

import multiprocessing as mp
import os
import queue
import threading
import time
import zlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import CROP_SIDE, Points, inverted
from monitor.training.face.forgery.degradation import (
    Degradation,
    cut_mask,
    degraded,
    drawn_degradation,
)
from monitor.training.face.forgery.masks import typical_points
from monitor.training.face.forgery.network import CELLS, SIDE, STRIDE
from monitor.training.face.forgery.pseudofakes import KINDS, Recipe, drawn_recipe, forge
from monitor.training.face.pictures.crops import WIDE_SIDE, Crops
from monitor.types import landmarks as face

_RECIPES = 512
_ASTRAY = 50.0
"""Pixels of the wide crop by which landmarks may lie off the typical ones; beyond, they are of
another face."""
_WAITING = 48
"""Pairs made ahead."""
_HELD_OUT = 10
"""One in so many identity groups never enters training and judges it instead."""


@dataclass(frozen=True, slots=True)
class PairPlan:
    """What pairs are made of; the parts that ablations leave out."""

    kinds: Mapping[str, float] = field(default_factory=lambda: dict(KINDS))
    degrading: bool = True
    levelling: bool = True
    """Light evened out in a tenth of the pairs."""
    hardening: bool = True
    """Recipes that the network gets wrong are drawn more often."""
    video: float = 0.5
    """Share of pairs from clips; there are few, but calls are clips."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two crops that differ in nothing but the forgery."""

    faces: NDArray[np.uint8]
    """Shape (2, 224, 224, 3): real, forged."""
    border: NDArray[np.float32]
    """Shape (14, 14): how much of a cell is border, 0 to 1; NaN where there is no telling."""
    recipe: int


class Recipes:
    """A pool of recipes shared by the process that forges and the one that learns.

    The more the network errs on a recipe the more often it is drawn, up to thrice as often as
    the average: the forger that looks for weak spots in parameters instead of a generator.
    """

    def __init__(self, plan: PairPlan, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        self._hardening = plan.hardening
        self.all: list[Recipe] = [drawn_recipe(rng, dict(plan.kinds)) for _ in range(_RECIPES)]
        self._losses: Any = mp.get_context("fork").Array("d", _RECIPES, lock=False)
        self._losses[:] = [1.0] * _RECIPES

    def draw(self, rng: np.random.Generator) -> int:
        """Number of a recipe."""
        if not self._hardening:
            return int(rng.integers(_RECIPES))
        losses = np.array(self._losses[:])
        weight = np.clip(losses / losses.mean(), 0.33, 3.0)
        return int(rng.choice(_RECIPES, p=weight / weight.sum()))

    def learnt(self, recipe: int, loss: float) -> None:
        """Note the loss of a forgery made by a recipe."""
        self._losses[recipe] += 0.2 * (loss - self._losses[recipe])


class PairMaker:
    """Makes pairs; the same number gives the same pair as long as no loss is noted."""

    def __init__(
        self,
        crops: Crops,
        points: NDArray[np.float64],
        twins: NDArray[np.uint8],
        plan: PairPlan,
        seed: int = 0,
    ) -> None:
        """`points` (crops, 104, 2) in wide pixels; `twins` (autoencoders, crops, ...)."""
        self._crops, self._points, self._twins = crops, points, twins
        self._plan, self._seed = plan, seed
        self.recipes = Recipes(plan, seed)
        self._groups = [_by_group(crops, crops.video), _by_group(crops, ~crops.video)]

    def pair(self, number: int) -> Pair:
        """Make one."""
        rng = np.random.default_rng((self._seed, 2, number))
        clips, stills = self._groups
        groups = clips if clips and (not stills or rng.random() < self._plan.video) else stills
        rows = groups[int(rng.integers(len(groups)))]
        row = int(rng.choice(rows))
        recipe = self.recipes.draw(rng)
        forgery = forge(
            self._crops.wide[row],
            self._points[row],
            self.recipes.all[recipe],
            rng,
            self._twins[:, row],
        )
        how = drawn_degradation(rng, self._crops.face_px[row], self._plan.levelling)
        if not self._plan.degrading:
            how = Degradation(mirrored=how.mirrored, turn=how.turn, zoom=how.zoom, shift=how.shift)
        faces = np.stack([degraded(forgery.real, how), degraded(forgery.fake, how)])
        border = np.full((CELLS, CELLS), np.nan, np.float32)
        if forgery.border is not None:
            cells = cut_mask(forgery.border, how).reshape(CELLS, STRIDE, CELLS, STRIDE)
            border = cells.max(axis=(1, 3))
        return Pair(faces, border, recipe)


def _by_group(crops: Crops, rows: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(rows & (crops.group == name)) for name in np.unique(crops.group[rows])]


def held_out(crops: Crops) -> NDArray[np.bool_]:
    """Which crops show people who are kept out of training to judge it."""
    return np.array([zlib.crc32(str(g).encode()) % _HELD_OUT == 0 for g in crops.group])


def read_points(crops: Crops, folder: Path) -> tuple[NDArray[np.float64], int]:
    """Landmarks of every crop in wide pixels, shape (crops, 104, 2), and how many are its own.

    `folder` holds one .npz per file of the album (`times`, `points` in pixels of the picture). A
    crop without landmarks that fit gets the typical ones, fitted to the five of the cascade.
    """
    typical = typical_points()
    points = np.stack([typical] * len(crops))
    own = 0
    for path in np.unique(crops.path):
        file = folder / f"{Path(str(path)).stem}.npz"
        if not file.exists():
            continue
        with np.load(file) as found:
            times, shown = found["times"], found["points"].astype(np.float64)
        if not len(times):
            continue
        for row in np.flatnonzero(crops.path == path):
            nearest = shown[int(np.abs(times - crops.time[row]).argmin())]
            forward = inverted(crops.maps[row])
            placed = nearest @ forward[:, :2].T + forward[:, 2]
            if _plausible(placed, typical):
                points[row] = placed
                own += 1
    return points, own


def _plausible(points: Points, typical: Points) -> bool:
    inside = bool(np.isfinite(points).all() and (np.abs(points - WIDE_SIDE / 2) < CROP_SIDE).all())
    off = np.abs(points[face.OVAL].mean(axis=0) - typical[face.OVAL].mean(axis=0))
    return inside and bool((off < _ASTRAY).all())


def stream(maker: PairMaker, first: int = 0) -> Generator[Pair, None, None]:
    """Pairs from number `first` on, made in one background process of low priority."""
    context = mp.get_context("fork")
    waiting: Any = context.Queue(_WAITING)
    worker = context.Process(target=_make, args=(maker, first, waiting), daemon=True)
    worker.start()
    try:
        while True:
            try:
                yield waiting.get(timeout=60)
            except queue.Empty as error:
                raise RuntimeError("the process that makes pairs has stopped") from error
    finally:
        worker.terminate()
        worker.join()


def _make(maker: PairMaker, first: int, waiting: Any) -> None:
    os.nice(5)
    number = first
    while True:
        waiting.put(maker.pair(number))
        number += 1


class Reservoir:
    """The latest pairs, filled by a thread and drawn from by the trainer; closes their stream."""

    def __init__(self, pairs: Generator[Pair, None, None], size: int, made: int) -> None:
        self._pairs = pairs
        self._faces = np.zeros((size, 2, SIDE, SIDE, 3), np.uint8)
        self._border = np.zeros((size, CELLS, CELLS), np.float32)
        self._recipe = np.zeros(size, np.intp)
        self._filled = 0
        self._failed: Exception | None = None
        self.made = made
        self._ended = False
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()

    def _fill(self) -> None:
        try:
            for number, pair in enumerate(self._pairs):
                if self._ended:
                    break
                at = number % len(self._faces)
                self._faces[at], self._border[at] = pair.faces, pair.border
                self._recipe[at] = pair.recipe
                self._filled = max(self._filled, at + 1)
                self.made += 1
        except RuntimeError as error:
            self._failed = error
        finally:
            # By the thread that runs it.
            self._pairs.close()

    def draw(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.intp]]:
        """Faces (count, 2, 224, 224, 3), borders (count, 14, 14), recipes (count,).

        Waits until there are some; raises RuntimeError if no more will come.
        """
        while self._filled < 16 * count:
            if self._failed is not None:
                raise self._failed
            time.sleep(0.1)
        which = rng.integers(0, self._filled, count)
        return self._faces[which], self._border[which], self._recipe[which]
