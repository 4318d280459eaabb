"""Forgery network ↔ ONNX file: face (batch, 3, 224, 224) in, logit and heat-map out."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from monitor.inference.onnx import Session
from monitor.training.face.forgery.network import SIDE, Convolution, ForgeryNetwork, Layout

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime that is let through, on a scale where a
difference below 1 is absolute and a larger logit's is relative."""


def export_network(network: nn.Module, path: Path) -> float:
    """Write the file and compare it with the network; returns the largest difference.

    Raises ValueError if a difference exceeds TOLERANCE; the file is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write(network, path, ("logit", "heatmap"))
    difference = largest_difference(network, path)
    if difference > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {difference:.2g}")
    return difference


def write(network: nn.Module, path: Path, outputs: Sequence[str]) -> None:
    """Write a network that takes `face` (batch, 3, 224, 224) as an ONNX file."""
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but quick; no network here has a branch to miss.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 3, SIDE, SIDE),),
            str(path),
            input_names=["face"],
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in ("face", *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    borders = [m.border for m in network.modules() if isinstance(m, Convolution) and any(m.border)]
    model = onnx.load(path)
    _merge_padding(model.graph, borders)
    onnx.save(model, path)


def read(path: Path, layout: Layout) -> ForgeryNetwork:
    """The network of an exported file, in evaluation mode, to train on from there.

    Raises RuntimeError if the file holds another network.
    """
    network = ForgeryNetwork(layout)
    weights = {
        value.name: torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in onnx.load(path).graph.initializer
    }
    known = network.state_dict().keys()
    network.load_state_dict({name: weights[name] for name in known if name in weights})
    return network.eval()


def _merge_padding(graph: onnx.GraphProto, borders: Sequence[tuple[int, int, int, int]]) -> None:
    """Let convolutions pad for themselves: a tenth of the time is spent in padding before them.

    `borders` are left, right, top, bottom of each padded convolution, in order.
    """
    made = {output: node for node in graph.node for output in node.output}
    after = [(c, made.get(c.input[0])) for c in graph.node if c.op_type == "Conv"]
    padded = [(conv, pad) for conv, pad in after if pad is not None and pad.op_type == "Pad"]
    for (conv, pad), (left, right, top, bottom) in zip(padded, borders, strict=True):
        conv.input[0] = pad.input[0]
        kept = [a for a in conv.attribute if a.name != "pads"]
        del conv.attribute[:]
        conv.attribute.extend([*kept, helper.make_attribute("pads", [top, left, bottom, right])])
    needed = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)


def largest_difference(
    network: nn.Module, path: Path, batches: tuple[int, ...] = (1, 3, 8)
) -> float:
    """Largest difference of either output over smooth random pictures."""
    session = Session(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for count in batches:
        coarse = torch.from_numpy(rng.random((count, 3, 14, 14), np.float32))
        faces = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
        with torch.no_grad():
            expected = [output.numpy() for output in network(faces)]
        found = session.run({"face": faces.numpy()})
        for ours, theirs in zip(expected, found, strict=True):
            off = np.abs(ours - theirs) / np.maximum(1, np.abs(ours))
            worst = max(worst, float(off.max()))
    return worst
