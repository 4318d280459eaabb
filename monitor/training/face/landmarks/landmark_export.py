"""Landmark network → ONNX file: face (batch, 3, 112, 112) in, points, pose and belief out."""

import argparse
import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from monitor.analysis.landmarker import INPUT_SIDE
from monitor.inference.catalogue import sha256
from monitor.inference.onnx import Session
from monitor.training.face.landmarks.landmark_net import LandmarkNet
from monitor.training.face.landmarks.landmark_train import CHECKPOINT, WORK

_log = logging.getLogger(__name__)
MODEL = Path("models/landmarks/model.onnx")
OPSET = 17
OUTPUTS = ("points", "pose", "face")
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime that is let through, relative above 1."""


def load(path: Path) -> LandmarkNet:
    """Return the network of a checkpoint."""
    net = LandmarkNet()
    net.load_state_dict(torch.load(path, weights_only=True)["net"])
    return net.eval()


def export_landmarks(net: LandmarkNet, path: Path) -> float:
    """Write the file and return the largest difference; raises ValueError above TOLERANCE."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but quick; the network has no branch to miss.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            (torch.zeros(2, 3, INPUT_SIDE, INPUT_SIDE),),
            str(path),
            input_names=["crops"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in ("crops", *OUTPUTS)},
            opset_version=OPSET,
            dynamo=False,
        )
    session = Session(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for count in (1, 3, 8):
        crops = rng.random((count, 3, INPUT_SIDE, INPUT_SIDE), np.float32)
        with torch.no_grad():
            expected = [output.numpy() for output in net(torch.from_numpy(crops))]
        for ours, theirs in zip(expected, session.run({"crops": crops}), strict=True):
            worst = max(worst, float((np.abs(ours - theirs) / np.maximum(1, np.abs(ours))).max()))
    if worst > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {worst:.2g}")
    return worst


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("landmarks-export", help="write the landmark network as ONNX")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--model", type=Path, default=MODEL)

    def run(options: argparse.Namespace) -> None:
        worst = export_landmarks(load(options.work / CHECKPOINT), options.model)
        _log.info("%s: differs by %.2g, %s", options.model, worst, sha256(options.model))

    parser.set_defaults(run=run)
