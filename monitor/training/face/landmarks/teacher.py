"""Pictures → landmarks by an openly licensed face mesh: what the project's own net learns from.

The mesh is MediaPipe's (Kartynnik et al. 2019 with irises, Apache-2.0): a TensorFlow Lite file run
offline by LiteRT, which is needed here only and is no dependency of anything else. It never ships.
"""

import argparse
import logging
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import Map, sampled
from monitor.analysis.cascade import Cascade
from monitor.training.face.pictures.album import FaceFile, pictures, read_album
from monitor.types import Image
from monitor.types.landmarks import LEFT_EYE, MESH, NOSE, OVAL, RIGHT_EYE

_log = logging.getLogger(__name__)
WORK = Path("build/faces/teacher")
_INSIDE = "face_landmarks_detector.tflite"
_SIDE = 256
_AROUND = 1.5
"""Side of the square the mesh is shown, in sides of the square around all of its points."""
_BELIEVED = 0.5
"""Probability of a face below which the mesh's points are not used."""
_FPS = 30.0
_RIGID = np.r_[RIGHT_EYE, LEFT_EYE, OVAL, NOSE]
"""Landmarks that move with the skull, more or less."""


class Mesh:
    """The mesh as a function of a picture and a square in it."""

    def __init__(self, task: Path) -> None:
        """Load from a `face_landmarker.task`, which is a zip file."""
        from ai_edge_litert.interpreter import Interpreter

        with zipfile.ZipFile(task) as archive:
            content = archive.read(_INSIDE)
        self._net: Any = Interpreter(model_content=content, num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        outputs = self._net.get_output_details()
        self._points = next(o["index"] for o in outputs if o["shape"][-1] == 3 * 478)
        self._face = next(
            o["index"] for o in outputs if len(o["shape"]) == 4 and o["shape"][-1] == 1
        )

    def find(self, image: Image, square: Map) -> tuple[NDArray[np.float64], float]:
        """Return 478 points (x, y, z), pixels of the picture, and the probability of a face.

        `square` maps a square of `_SIDE` pixels to the picture.
        """
        crop = sampled(image, square, _SIDE, _SIDE)
        self._net.set_tensor(self._input, (crop / np.float32(255))[None])
        self._net.invoke()
        found = self._net.get_tensor(self._points).reshape(478, 3).astype(np.float64)
        logit = float(self._net.get_tensor(self._face).reshape(()))
        scale = math.sqrt(abs(np.linalg.det(square[:, :2])))
        flat = np.c_[found[:, :2], np.ones(478)] @ square.T
        return np.c_[flat, found[:, 2] * scale], 1 / (1 + math.exp(-logit))


def square_around(points: NDArray[np.float64]) -> Map:
    """The upright square that the mesh wants to see, from points it found; (478, 2 or 3)."""
    right, left = points[[33, 133], :2].mean(axis=0), points[[263, 362], :2].mean(axis=0)
    turn = math.atan2(left[1] - right[1], left[0] - right[0])
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    upright = points[:, :2] @ axes
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = axes @ ((low + high) / 2)
    return _square(centre, float((high - low).max()) * _AROUND, axes)


def _square(centre: NDArray[np.float64], side: float, axes: NDArray[np.float64]) -> Map:
    linear = axes * side / _SIDE
    return np.column_stack([linear, centre - linear @ [_SIDE / 2, _SIDE / 2]])


def follow(file: FaceFile, mesh: Mesh, cascade: Cascade) -> Iterator[tuple[float, Any, float]]:
    """Yield (seconds, 478 points, probability) of the largest face wherever one is found."""
    square: Map | None = None
    for time, image in pictures(file.path, _FPS):
        if square is None:
            faces = cascade.detect(image)
            if not faces:
                continue
            face = max(faces, key=lambda f: f.width)
            eyes = face.landmarks[1] - face.landmarks[0]
            turn = eyes / np.hypot(*eyes)
            axes = np.array([[turn[0], -turn[1]], [turn[1], turn[0]]])
            centre = (face.box[:2] + face.box[2:]) / 2
            square = _square(centre, max(face.width, face.height) * _AROUND, axes)
            for _ in range(2):
                points, _ = mesh.find(image, square)
                square = square_around(points)
        points, score = mesh.find(image, square)
        square = square_around(points) if score > _BELIEVED else None
        if square is not None:
            yield time, points, score


def rotations(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yaw, pitch and roll in degrees, shape (n, 3), of landmarks (n, 104, 3).

    Each face is turned onto the mean face by least squares (Kabsch 1976); the mean face is that
    of the data, made symmetrical by laying it out along its own axes.
    """
    rigid = points[:, _RIGID]
    rigid = rigid - rigid.mean(axis=1, keepdims=True)
    rigid = rigid / np.sqrt((rigid**2).sum(axis=(1, 2), keepdims=True))
    first = np.stack([_axes(p) for p in points])
    mean = np.median(np.einsum("nij,nik->njk", first, rigid.transpose(0, 2, 1)), axis=0).T
    turned = []
    for face in rigid:
        u, _, v = np.linalg.svd(face.T @ mean)
        sign = np.sign(np.linalg.det(u @ v))
        turned.append(_angles(u @ np.diag([1, 1, sign]) @ v))
    return np.array(turned)


def _axes(face: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns: to the person's left, down, and away from the camera; (104, 3) landmarks."""
    across = face[LEFT_EYE].mean(axis=0) - face[RIGHT_EYE].mean(axis=0)
    across = across / np.linalg.norm(across)
    down = face[75] - face[66]
    down = down - across * (down @ across)
    down = down / np.linalg.norm(down)
    return np.column_stack([across, down, np.cross(across, down)])


def _angles(turn: NDArray[np.float64]) -> tuple[float, float, float]:
    across, ahead = turn[:, 0], -turn[:, 2]
    yaw = math.degrees(math.atan2(ahead[0], -ahead[2]))
    pitch = math.degrees(math.asin(float(np.clip(-ahead[1], -1, 1))))
    return yaw, pitch, math.degrees(math.atan2(across[1], across[0]))


def label(files: list[FaceFile], task: Path, folder: Path) -> None:
    """Write one `<stem>.npz` per file: times, points, depth, score; then pose for all."""
    folder.mkdir(parents=True, exist_ok=True)
    mesh, cascade = Mesh(task), Cascade()
    for number, file in enumerate(files):
        path = folder / f"{file.path.stem}.npz"
        if path.exists():
            continue
        found = list(follow(file, mesh, cascade))
        if number % 100 == 0:
            _log.info("%d of %d files", number, len(files))
        if found:
            points = np.stack([p[MESH] for _, p, _ in found])
            np.savez(
                path,
                times=np.array([t for t, _, _ in found]),
                points=points[..., :2].astype(np.float32),
                depth=points[..., 2].astype(np.float32),
                score=np.array([s for _, _, s in found]),
            )
    _add_pose(folder)


def _add_pose(folder: Path) -> None:
    """One mean face for all files, so that zero means the same everywhere."""
    paths = sorted(folder.glob("*.npz"))
    known = [dict(np.load(path)) for path in paths]
    points = np.concatenate([np.dstack([k["points"], k["depth"]]) for k in known])
    pose = rotations(points.astype(np.float64)).astype(np.float32)
    counts = np.cumsum([len(k["times"]) for k in known])[:-1]
    for path, found, angles in zip(paths, known, np.split(pose, counts), strict=True):
        np.savez(path, **(found | {"pose": angles}))


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("teacher", help="landmarks of an album by an open face mesh")
    parser.add_argument("--task", type=Path, required=True, help="a face_landmarker.task file")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--out", type=Path, default=WORK)
    parser.set_defaults(run=lambda o: label(read_album(o.data), o.task, o.out))
