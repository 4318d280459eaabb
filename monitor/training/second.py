"""The second look: a linear head on the frozen encoder, beside the network that looks first.

The head sees windows only against windows of the same group, which share source and channel, so
nothing that tells sources apart can help it. Both looks are added up on the scale of the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.export import largest_difference, write_graph
from monitor.training.features import Features
from monitor.training.judge import DevelopmentSet
from monitor.training.scoring import CLEAN, G711, MOBILE, OPUS
from monitor.training.whisper import Encoder
from monitor.types import Fusion, LookRule, Waveform

RIDGE = 3e-3
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""That the second look may get against the first one's 1."""
TOLERANCE = 2e-3
"""Largest difference between torch and ONNX Runtime that is let through: logits reach tens."""
LINES = {"narrow": (G711, MOBILE), "wide": (CLEAN, OPUS)}
"""Which channels of the development recordings stand for a telephone's line, and for others."""
CERTAIN = 3.0
EVERY = 3.0
"""See LookRule."""
_SMALL = 1024
"""Numbers of a constant that is left in single precision."""


@dataclass(frozen=True, slots=True)
class Head:
    """A linear rule over features."""

    weight: NDArray[np.float64]
    """(features,)"""
    constant: float

    def logits(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., features) → (...)."""
        found: NDArray[np.float64] = values.astype(np.float64) @ self.weight + self.constant
        return found


def said(rule: LookRule, first: str) -> Mapping[str, str]:
    """What the file says of its use, as the service reads it; `first` is a SHA-256."""
    lines = {"narrow": rule.narrow, "wide": rule.wide}
    texts = {name: f"{it.first!r} {it.second!r} {it.offset!r}" for name, it in lines.items()}
    return {**texts, "first": first, "certain": repr(rule.certain), "every": repr(rule.every)}


def fit_rule(
    development: DevelopmentSet,
    first: Mapping[str, Waveform],
    second: Mapping[str, Waveform],
) -> tuple[LookRule, dict[str, dict[str, float]]]:
    """How both looks' logits by channel are added up, and what each weight came to.

    The second look is put on the scale of the first. Of WEIGHTS the one with the largest area
    under the curve is taken, for narrow channels and for others apart.
    """
    ours, theirs = (np.concatenate([it[name] for name in first]) for it in (first, second))
    scale = float(ours.std() / theirs.std())
    offset = float(ours.mean() - scale * theirs.mean())
    found: dict[str, dict[str, float]] = {}
    fusions = {}
    for line, channels in LINES.items():
        area = {}
        for weight in WEIGHTS:
            fused = {
                name: first[name] + np.float32(weight) * (scale * second[name] + offset)
                for name in channels
            }
            judged = development.judged(fused)
            area[weight] = 1 - judged["objective"]
            found[f"{line} {weight:g}"] = judged
        best = max(WEIGHTS, key=lambda weight: area[weight])
        fusions[line] = Fusion(1.0, best * scale, best * offset)
    return LookRule(fusions["narrow"], fusions["wide"], CERTAIN, EVERY), found


def fit_head(features: Features, ridge: float = RIDGE, rounds: int = 60) -> Head:
    """Fit so that a group's synthetic windows score above its human ones."""
    values = features.values
    centred = values - values.mean((1, 2), keepdims=True)
    spread = centred.reshape(-1, values.shape[-1]).std(0) + 1e-6
    human, fake = (torch.from_numpy(centred[:, i] / spread) for i in (0, 1))
    gaps = (fake[:, :, None] - human[:, None]).flatten(0, 2)
    weight = torch.zeros(gaps.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=rounds, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = functional.softplus(-gaps @ weight).mean() + ridge * weight.square().sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = weight.detach().double().numpy() / spread
    middle = float(values.reshape(-1, values.shape[-1]).mean(0) @ found)
    return Head(found, -middle)


class SecondLook(nn.Module):
    """Waveform (batch, samples) → logit (batch,)."""

    def __init__(self, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(len(head.weight), 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight)[None])
            self.head.bias.fill_(head.constant)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → logit."""
        logit: Tensor = self.head(self.encoder(waveform)).squeeze(1)
        return logit


def export_second(network: SecondLook, rule: LookRule, first: str, path: Path) -> float:
    """Write the file and compare it with the network; returns the largest difference.

    `first` is the SHA-256 of the file whose looks come first. Raises ValueError if a difference
    exceeds TOLERANCE; the file is then removed.
    """
    write_graph(network.eval(), path)
    model = onnx.load(path)
    _halve(model.graph)
    helper.set_model_props(model, dict(said(rule, first)))
    onnx.save(model, path)
    difference = largest_difference(network, path)
    if difference > TOLERANCE:
        path.unlink()
        raise ValueError(f"ONNX Runtime differs from torch by {difference:.2g}")
    return difference


def _halve(graph: onnx.GraphProto) -> None:
    """Store as half floats what loses nothing by it: the encoder was published so."""
    casts = []
    for value in graph.initializer:
        single = numpy_helper.to_array(value)
        if single.dtype != np.float32 or single.size < _SMALL:
            continue
        half = single.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), single):
            continue
        name = value.name
        value.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
