"""How far the landmark network is from its teacher, on people whom it was not trained on."""

import argparse
import json
import time
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from monitor.analysis.landmarker import Landmarker, LandmarkTracker, five_points
from monitor.inference.catalogue import Model, sha256
from monitor.training.face.landmarks import teacher
from monitor.training.face.landmarks.landmark_data import set_aside
from monitor.training.face.landmarks.landmark_export import MODEL
from monitor.training.face.pictures.album import FaceFile, pictures, read_album
from monitor.types import Image
from monitor.types.landmarks import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_IRIS,
    NOSE,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_IRIS,
)

REGIONS = {
    "eyelids": np.r_[RIGHT_EYE, LEFT_EYE],
    "irises": np.r_[RIGHT_IRIS, LEFT_IRIS],
    "lips": np.r_[OUTER_LIPS, INNER_LIPS],
    "outline": np.r_[OVAL],
    "brows": np.r_[RIGHT_BROW, LEFT_BROW],
    "nose": np.r_[NOSE],
}
SMALL = 60.0
"""Pixels of a small face's width, from ear to ear."""
_FPS = 10.0
_DRAWS = 1000


def shrunk(image: Image, points: NDArray[np.float32]) -> tuple[Image, float]:
    """The picture with a face SMALL pixels wide, through a JPEG of a call's quality."""
    wide = float(np.ptp(points[OVAL][:, 0]))
    scale = min(1.0, SMALL / max(wide, 1.0))
    height, width = (max(32, round(n * scale) // 2 * 2) for n in image.shape[:2])
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
    codec.time_base = Fraction(1, 25)
    codec.options = {"qmin": "12", "qmax": "12"}
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(width, height, "yuvj420p")
    (packet,) = codec.encode(frame)
    (shown,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(bytes(packet)))
    return np.asarray(shown.to_ndarray(format="rgb24"), np.uint8), width / image.shape[1]


def measure(files: list[FaceFile], labels: Path, landmarker: Landmarker) -> dict[str, Any]:
    """Errors in percent of the distance between the eyes, people resampled; see the card."""
    errors: dict[str, dict[str, list[float]]] = {
        size: defaultdict(list) for size in ("full", "small")
    }
    groups: list[str] = []
    pose: list[NDArray[np.float32]] = []
    jitter: dict[str, list[float]] = {"own": [], "teacher": []}
    open_own: list[float] = []
    open_true: list[float] = []
    trusted = 0
    for file in files:
        path = labels / f"{file.path.stem}.npz"
        if not path.exists():
            continue
        with np.load(path) as found:
            times, points, angles = found["times"], found["points"], found["pose"]
        tracker = LandmarkTracker(landmarker)
        tracks: dict[str, list[NDArray[np.float32]]] = {"own": [], "teacher": []}
        for at, image in pictures(file.path, _FPS if file.kind == "video" else 60.0):
            row = int(np.abs(times - at).argmin())
            if abs(times[row] - at) > 1e-3:
                continue
            true = points[row]
            apart = float(np.hypot(*(five_points(true)[1] - five_points(true)[0])))
            seen = tracker.look(image, _rough(true, apart))
            groups.append(file.group)
            trusted += seen is not None
            found_points = (seen or landmarker.find(image, five_points(true))).points
            _note(errors["full"], found_points, true, apart)
            if seen is not None:
                pose.append(np.abs(seen.pose - angles[row]))
            less, scale = shrunk(image, true)
            again = landmarker.find(less, five_points(found_points * np.float32(scale)))
            _note(errors["small"], again.points / np.float32(scale), true, apart)
            tracks["own"].append((found_points - found_points.mean(axis=0)) / apart)
            tracks["teacher"].append((true - true.mean(axis=0)) / apart)
            open_own.append(_opening(found_points))
            open_true.append(_opening(true))
        for name, track in tracks.items():
            if len(track) > 5:
                steps = np.linalg.norm(np.diff(np.stack(track), 2, axis=0), axis=2)
                jitter[name].append(100 * float(np.median(steps)))
    return {
        "pictures": len(groups),
        "people": len(set(groups)),
        "trusted_share": trusted / len(groups),
        "error_percent": {
            size: {region: _summary(values, groups) for region, values in by.items()}
            for size, by in errors.items()
        },
        "pose_median_degrees": np.median(pose, axis=0).round(2).tolist(),
        "jitter_percent": {name: round(float(np.median(v)), 3) for name, v in jitter.items()},
        "eye_opening_correlation": round(float(np.corrcoef(open_own, open_true)[0, 1]), 3),
        "cpu_ms": _cost(landmarker),
    }


def _rough(true: NDArray[np.float32], apart: float) -> NDArray[np.float64]:
    """Five points as far off as a cascade's, the same every time."""
    rng = np.random.default_rng(round(float(true.sum())) & 0xFFFF)
    return five_points(true) + rng.normal(0, 0.05 * apart, (5, 2))


def _note(
    errors: dict[str, list[float]],
    found: NDArray[np.float32],
    true: NDArray[np.float32],
    apart: float,
) -> None:
    off = 100 * np.linalg.norm(found - true, axis=1) / apart
    for region, rows in REGIONS.items():
        errors[region].append(float(off[rows].mean()))
    errors["all"].append(float(off.mean()))


def _opening(points: NDArray[np.float32]) -> float:
    ring = points[RIGHT_EYE]
    lids = np.linalg.norm(ring[1:8] - ring[15:8:-1], axis=1).mean()
    return float(lids / np.linalg.norm(ring[0] - ring[8]))


def _summary(values: list[float], groups: list[str]) -> dict[str, Any]:
    """Median and ninth decile over pictures; interval of the median by resampling people."""
    rng = np.random.default_rng(0)
    series, names = np.array(values), np.array(groups)
    by = [series[names == name] for name in np.unique(names)]
    draws = [
        np.median(np.concatenate([by[i] for i in rng.integers(0, len(by), len(by))]))
        for _ in range(_DRAWS)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "median": round(float(np.median(series)), 2),
        "ci": [round(float(low), 2), round(float(high), 2)],
        "p90": round(float(np.percentile(series, 90)), 2),
    }


def _cost(landmarker: Landmarker, runs: int = 100) -> float:
    """Median CPU milliseconds of one face, crop included."""
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    five = np.array([[280, 200], [360, 200], [320, 250], [290, 290], [350, 290]], np.float64)
    spent = []
    for _ in range(runs):
        before = time.process_time()
        landmarker.find(image, five)
        spent.append(time.process_time() - before)
    return round(1000 * float(np.median(spent)), 2)


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("landmarks-evaluate", help="the landmark network on unseen people")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--labels", type=Path, default=teacher.WORK)
    parser.add_argument("--model", type=Path, default=MODEL)

    def run(options: argparse.Namespace) -> None:
        model = options.model
        landmarker = Landmarker(Model("landmarks", model, sha256(model), "", model, None, None))
        files = [
            file
            for file in read_album(options.data)
            if not file.fake and (file.split == "dev" or set_aside(file.group))
        ]
        print(json.dumps(measure(files, options.labels, landmarker), indent=1))

    parser.set_defaults(run=run)
