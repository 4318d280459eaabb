"""Network → ONNX file: waveform (batch, samples) in, logit (batch,) out."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from monitor.inference.onnx import Session
from monitor.training.voice.network import VoiceNetwork
from monitor.types import SAMPLE_RATE

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime that is let through."""


def export_network(network: VoiceNetwork, path: Path) -> float:
    """Write the file and compare it with the network; returns the largest difference.

    Raises ValueError if a difference exceeds TOLERANCE; the file is then removed.
    """
    write_graph(network.eval(), path)
    difference = largest_difference(network, path)
    if difference > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {difference:.2g}")
    return difference


def write_graph(network: nn.Module, path: Path) -> None:
    """Write a network that takes `waveform` (batch, samples) and returns `logit` (batch,)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but takes a second instead of ten, and the network
        # has no branch that tracing could miss; the comparison below covers several lengths.
        warnings.simplefilter("ignore", DeprecationWarning)
        # A slice that runs backwards stays in the graph, as it should.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, 3 * SAMPLE_RATE),),
            str(path),
            input_names=["waveform"],
            output_names=["logit"],
            dynamic_axes={"waveform": {0: "batch", 1: "samples"}, "logit": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def largest_difference(
    network: nn.Module, path: Path, seconds: tuple[float, ...] = (1, 3, 4.321, 10)
) -> float:
    """Largest difference of logits between torch and ONNX Runtime over batches of noise bursts."""
    session = Session(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for length in seconds:
        samples = int(length * SAMPLE_RATE)
        loud = np.sin(np.arange(samples) / SAMPLE_RATE * 20) ** 2
        waveform = (0.1 * loud * rng.standard_normal((3, samples))).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(waveform)).numpy()
        found = session.run({"waveform": waveform})[0]
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst
