"""Matched faces of an album: both members of a pair through the same camera, codec and filter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.inference.onnx import Session
from monitor.training.face.forgery.degradation import degraded, drawn_degradation
from monitor.training.face.forgery.pseudofakes import Pixels
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.crops import Crops

DRAWS = {"image": 6, "video": 12}
"""Draws of one forged file: a clip has more pictures to draw from."""
_MOST = 3
"""Forged files of one pair that are used: a page with ten results of one target is one person."""
_BATCH = 16
_GENUINE = 2
"""Draws of one genuine file without a partner."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Signs:
    """What the network saw in the members of pairs, and in genuine faces alone."""

    real: Floats
    """Shape (draws, signs)."""
    fake: Floats
    """The same draws of the forged members."""
    source: NDArray[np.str_]
    """The page of each draw."""
    part: NDArray[np.str_]
    """What is left out together when the fit is judged: a page, or a swap model of a large one."""
    weight: NDArray[np.float64]
    """Each pair counts once, however many draws it has."""
    alone: Floats
    """Genuine faces without a partner, shape (draws, signs)."""


def signs(
    files: Sequence[FaceFile], crops: Crops, genuine: Crops, session: Session, seed: int = 1
) -> Signs:
    """Draw and look: `crops` of the album's files, `genuine` of other people."""
    rng = np.random.default_rng(seed)
    shown = list(_pairs(files, crops, rng))
    real = _seen([own for own, _, _ in shown], session)
    fake = _seen([forged for _, forged, _ in shown], session)
    names = [(file.source, file.pair) for _, _, file in shown]
    count = {name: names.count(name) for name in set(names)}
    own = [
        degraded(genuine.wide[i], drawn_degradation(rng, float(genuine.face_px[i])))
        for i in _spread(genuine)
        for _ in range(_GENUINE)
    ]
    return Signs(
        real,
        fake,
        np.array([file.source for _, _, file in shown]),
        np.array([part_of(file) for _, _, file in shown]),
        np.array([1 / count[name] for name in names]),
        _seen(own, session),
    )


def part_of(file: FaceFile) -> str:
    """The page, and of a method that is trained for each person anew also which."""
    return f"{file.source} {file.method}" if ":" in file.method else file.source


def _pairs(
    files: Sequence[FaceFile], crops: Crops, rng: np.random.Generator
) -> Iterator[tuple[Pixels, Pixels, FaceFile]]:
    """Genuine and forged crop of one moment, through the same draw; and the forged file."""
    rows = {name: np.flatnonzero(crops.path == name) for name in np.unique(crops.path)}
    genuine = {f.pair: rows[f.path.name] for f in files if not f.fake and f.path.name in rows}
    taken: dict[str, int] = {}
    for file in files:
        mine = rows.get(file.path.name)
        if not (file.fake and file.pair in genuine) or mine is None:
            continue
        taken[file.pair] = taken.get(file.pair, 0) + 1
        if taken[file.pair] > _MOST:
            continue
        theirs = genuine[file.pair]
        for _ in range(DRAWS[file.kind]):
            forged = rng.choice(mine)
            real = theirs[np.abs(crops.time[theirs] - crops.time[forged]).argmin()]
            widest = float(min(crops.face_px[forged], crops.face_px[real]))
            how = drawn_degradation(rng, widest)
            yield degraded(crops.wide[real], how), degraded(crops.wide[forged], how), file


def _spread(crops: Crops) -> list[int]:
    """One row of each photograph, a few of each clip."""
    found: list[int] = []
    for name in np.unique(crops.path):
        mine = np.flatnonzero(crops.path == name)
        found += mine[:: max(1, len(mine) // 6)].tolist()
    return found


def _seen(faces: Sequence[Pixels], session: Session) -> Floats:
    found = []
    for i in range(0, len(faces), _BATCH):
        batch = np.stack(faces[i : i + _BATCH]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        found.append(session.run({"face": batch})[0])
    return np.concatenate(found)
