"""`eyes`: watch the album's eyes, train EyeNet, measure it on people it has not seen, write it."""

import argparse
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.analysis.cascade import Cascade
from monitor.analysis.landmarker import Landmarker
from monitor.detectors.blink import blinks_in, lost
from monitor.inference.catalogue import Catalogue, default_folder, sha256
from monitor.inference.onnx import Session
from monitor.training.face.eyes.eyes import (
    COLUMNS,
    ROWS,
    STEPS,
    EyeClip,
    EyeNet,
    fit,
    opened,
    watch,
)
from monitor.training.face.pictures.album import read_album

_log = logging.getLogger(__name__)
MODEL = Path("models/eyes/model.onnx")
LABELS = Path("build/faces/teacher")
FOLDS = 4
OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime that is let through."""
_FEWEST = 60
"""Pictures of a clip in which blinks can be looked for."""
_NEAR = 0.04
"""Seconds by which a blink may miss the teacher's and still be the same."""


def openings(net: EyeNet, clip: EyeClip) -> NDArray[np.float64]:
    """What the network makes of a clip, shape (pictures, 2)."""
    with torch.no_grad():
        found = net(torch.from_numpy(clip.eyes.reshape(-1, ROWS, COLUMNS)).float())
    return np.asarray(found.numpy().reshape(-1, 2), np.float64)


def compared(clip: EyeClip, found: NDArray[np.float64]) -> dict[str, float]:
    """Openings (pictures, 2) against the teacher's: correlation of what is lost, and blinks."""
    teachers, ours = (lost(o).mean(axis=1) for o in (clip.openings, found))
    whole = slice(0, len(clip.times))
    true, seen = (blinks_in(clip.times, closing, whole) for closing in (teachers, ours))

    def met(blink: tuple[float, float, float], others: list[tuple[float, float, float]]) -> bool:
        return any(min(blink[1], o[1]) > max(blink[0], o[0]) - _NEAR for o in others)

    return {
        "correlation": float(np.corrcoef(teachers, ours)[0, 1]),
        "teacher": float(len(true)),
        "found": float(sum(met(blink, seen) for blink in true)),
        "seen": float(len(seen)),
        "false": float(sum(not met(blink, true) for blink in seen)),
    }


def summed(rows: Sequence[tuple[str, dict[str, float]]]) -> dict[str, Any]:
    """Over clips of (person, `compared`): the median correlation, with an interval by resampling
    people, and blinks in all."""
    people = sorted({person for person, _ in rows})
    each = [np.array([row["correlation"] for who, row in rows if who == p]) for p in people]
    rng = np.random.default_rng(0)
    rounds = [
        float(np.median(np.concatenate([each[i] for i in rng.integers(0, len(each), len(each))])))
        for _ in range(1000)
    ]
    return {
        "clips": len(rows),
        "people": len(people),
        "correlation": round(float(np.median(np.concatenate(each))), 3),
        "interval": [round(float(v), 3) for v in np.percentile(rounds, [2.5, 97.5])],
        **{
            name: int(sum(row[name] for _, row in rows))
            for name in ("teacher", "found", "seen", "false")
        },
    }


def folds(clips: Sequence[EyeClip], steps: int) -> dict[str, Any]:
    """Every clip under a network that never saw its person, beside the service's landmarks."""
    people = sorted({clip.file.group for clip in clips})
    np.random.default_rng(0).shuffle(people)
    ours, marks = [], []
    for fold in range(FOLDS):
        out = set(people[fold::FOLDS])
        net = fit([clip for clip in clips if clip.file.group not in out], steps)
        for clip in clips:
            if clip.file.group in out and len(clip.times) >= _FEWEST:
                ours.append((clip.file.group, compared(clip, openings(net, clip))))
                marks.append((clip.file.group, compared(clip, opened(clip.points))))
                _log.info("%s %s", clip.file.path.name, ours[-1][1])
    return {"network": summed(ours), "landmarks": summed(marks)}


def export(net: EyeNet, path: Path) -> float:
    """Write the file and return its largest difference; raises ValueError above TOLERANCE."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but quick; the network has no branch to miss.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.zeros(2, ROWS, COLUMNS),), str(path), input_names=["eyes"],
            output_names=["opening"], opset_version=OPSET, dynamo=False,
            dynamic_axes={"eyes": {0: "batch"}, "opening": {0: "batch"}},
        )  # fmt: skip
    session, worst = Session(path), 0.0
    rng = np.random.default_rng(0)
    for count in (1, 2, 9):
        eyes = rng.uniform(0, 255, (count, ROWS, COLUMNS)).astype(np.float32)
        with torch.no_grad():
            expected = net(torch.from_numpy(eyes)).numpy()
        worst = max(worst, float(np.abs(expected - session.run({"eyes": eyes})[0]).max()))
    if worst > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {worst:.2g}")
    return worst


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("eyes", help="train, measure and write what reads eyes' openings")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--labels", type=Path, default=LABELS, help="what `teacher` wrote")
    parser.add_argument("--models", type=Path, default=default_folder(), help="has landmarks")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--steps", type=int, default=STEPS)

    def run(options: argparse.Namespace) -> None:
        torch.set_num_threads(1)
        cascade = Cascade()
        landmarker = Landmarker(Catalogue(options.models).verified("landmarks"))
        genuine = [file for file in read_album(options.data) if not file.fake]
        watched = [
            (file.split, clip)
            for file in genuine
            if (clip := watch(file, options.labels, cascade, landmarker)) is not None
        ]
        train, held = (
            [clip for split, clip in watched if (split == "dev") is dev] for dev in (False, True)
        )
        _log.info("%d files to train on, %d held out", len(train), len(held))
        report = {"folds": folds(train, options.steps)}
        net = fit(train, options.steps)
        tall = [clip for clip in held if len(clip.times) >= _FEWEST]
        report["held out"] = summed(
            [(clip.file.group, compared(clip, openings(net, clip))) for clip in tall]
        )
        worst = export(net, options.model)
        _log.info("%s: differs by %.2g, %s", options.model, worst, sha256(options.model))
        print(json.dumps(report, indent=1))

    parser.set_defaults(run=run)
