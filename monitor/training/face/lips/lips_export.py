"""SyncLite → ONNX file: mouths, openings and sound in, vectors of lips and voice out."""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

from monitor.detectors.mouth import STEPS
from monitor.inference.onnx import Session
from monitor.training.face.lips.lips_linear import SyncLinear
from monitor.training.face.lips.lips_network import COLUMNS, OPENINGS, ROWS, SyncLite
from monitor.training.face.lips.lips_train import RUNS, load
from monitor.types import SOUND_BANDS

OPSET = 17
NAMES = ("mouths", "openings", "sound")
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime that is let through."""


def export(network: SyncLite | SyncLinear, path: Path) -> float:
    """Write the file and compare it with the network; returns the largest difference.

    Raises ValueError if a difference exceeds TOLERANCE; the file is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the network has no branch that it could miss; the
        # comparison below covers several lengths.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.eval(),
            tuple(torch.from_numpy(part) for part in inputs(2, 50, 60)),
            str(path),
            input_names=list(NAMES),
            output_names=["lips", "voice"],
            dynamic_axes={
                name: {0: "batch", 1: f"{name}_length"} for name in (*NAMES, "lips", "voice")
            },
            opset_version=OPSET,
            dynamo=False,
        )
    difference = largest_difference(network, path)
    if difference > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {difference:.2g}")
    return difference


def largest_difference(network: SyncLite | SyncLinear, path: Path) -> float:
    """Largest difference of vectors between torch and ONNX Runtime, over several lengths."""
    session, worst = Session(path), 0.0
    for batch, pictures, steps in ((1, 50, 50), (1, 250, 1500), (3, 64, 64), (2, 75, 300)):
        given = inputs(batch, pictures, steps)
        with torch.no_grad():
            expected = network(*(torch.from_numpy(part) for part in given))
        named = dict(zip(NAMES, given, strict=True))
        # A network of openings alone has no use for pictures, and the file no such input.
        found = session.run({name: named[name] for name in session.inputs})
        for one, other in zip(expected, found, strict=True):
            worst = max(worst, float(np.abs(one.numpy() - other).max()))
    return worst


def inputs(batch: int, pictures: int, steps: int) -> tuple[np.ndarray, ...]:
    """Noise of the shapes that the network takes."""
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((batch, pictures, ROWS, COLUMNS), np.float32),
        rng.standard_normal((batch, pictures, OPENINGS), np.float32),
        rng.standard_normal((batch, steps * STEPS, SOUND_BANDS), np.float32),
    )


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("lips-export", help="SyncLite as an ONNX file")
    parser.add_argument("--run", dest="weights", type=Path, default=RUNS / "patches/all.pt")
    parser.add_argument("--out", type=Path, default=Path("models/lips/model.onnx"))
    parser.set_defaults(run=lambda o: print(export(load(o.weights), o.out)))
