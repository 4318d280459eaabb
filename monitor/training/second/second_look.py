"""The second look beside the network that looks first: where it begins, how it counts, its file.

Both looks' logits are averaged on the scale of the first, with weights by what a window's own
bandwidth says of its line, as the service does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from monitor.analysis.quality import bandwidth_hz
from monitor.decision.strata import is_narrow
from monitor.training.measure.judge import DevelopmentSet
from monitor.training.measure.metrics import equal_error_threshold
from monitor.training.measure.scoring import CHANNELS, CLEAN
from monitor.training.second.features import Features
from monitor.training.voice.export import largest_difference, write_graph
from monitor.types import Fusion, LookRule, Waveform

RIDGE = 0.3
RANKING = 0.5
"""Weight of the order within a group against 1 for the cross-entropy, as in `objective`."""
LINES = (*CHANNELS, "gsm", "speex 8000")
"""That the weights are chosen on: also those codecs that genuine speech fares worst through."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""That the second look may get against the first one's 1."""
TOLERANCE = 2e-3
"""Largest difference between torch and ONNX Runtime that is let through: logits reach tens."""
CERTAIN = 3.0
EVERY = 4.0
"""See LookRule. So many seconds keep both looks within two and a half times the first's cost on a
telephone's line, where every window is looked at."""
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
    development: DevelopmentSet, first: Mapping[str, Waveform], second: Mapping[str, Waveform]
) -> tuple[LookRule, dict[str, dict[str, float]]]:
    """How both looks' logits by channel are averaged, and what each pair of weights came to.

    The second look is put on the scale of the first. What both say of narrow windows is moved so
    that one threshold does for all lines: there the second look alone would call humans synthetic
    through one codec and miss fakes through another. Of all pairs of WEIGHTS, for narrow windows
    and for others, the one with the largest area under the curve is taken whose false alarms, at
    the threshold of clean windows and over all channels, are no more than those of the first look.
    """
    fake = development.fake
    narrow = {name: _narrow(development.windows(name)) for name in first}
    ours, theirs = (np.concatenate([it[name] for name in first]) for it in (first, second))
    scale = float(ours.std() / theirs.std())
    offset = float(ours.mean() - scale * theirs.mean())
    alone = _false_alarms(first, fake)
    found: dict[str, dict[str, float]] = {}
    chosen = LookRule(Fusion(1, 0, 0), Fusion(1, 0, 0), CERTAIN, EVERY)
    least = development.judged(first)["objective"]
    for low, high in product(WEIGHTS, WEIGHTS):
        rule = LookRule(_average(low, scale, offset), _average(high, scale, offset), CERTAIN, EVERY)
        both = {name: fused(rule, first[name], second[name], narrow[name]) for name in first}
        lower = replace(rule.narrow, offset=rule.narrow.offset + _shift(both, narrow, fake))
        rule = replace(rule, narrow=lower)
        both = {name: fused(rule, first[name], second[name], narrow[name]) for name in first}
        alarms = _false_alarms(both, fake)
        result = development.judged(both)
        result |= {f"false_alarms_{name}": rate for name, rate in alarms.items()}
        found[f"{low:g} {high:g}"] = result
        if sum(alarms.values()) <= sum(alone.values()) and result["objective"] < least:
            chosen, least = rule, result["objective"]
    return chosen, found


def _shift(
    scores: Mapping[str, Waveform],
    narrow: Mapping[str, NDArray[np.bool_]],
    fake: NDArray[np.bool_],
) -> float:
    """What to add to narrow windows for their threshold to be that of clean ones."""
    logits = np.concatenate([scores[name][narrow[name]] for name in scores])
    label = np.concatenate([fake[narrow[name]] for name in scores])
    if label.all() or not label.any():
        return 0.0
    return _threshold(scores, fake) - equal_error_threshold(logits[~label], logits[label])


def _threshold(scores: Mapping[str, Waveform], fake: NDArray[np.bool_]) -> float:
    return equal_error_threshold(scores[CLEAN][~fake], scores[CLEAN][fake])


def _false_alarms(scores: Mapping[str, Waveform], fake: NDArray[np.bool_]) -> dict[str, float]:
    threshold = _threshold(scores, fake)
    return {name: float((it[~fake] >= threshold).mean()) for name, it in scores.items()}


def fused(
    rule: LookRule, first: Waveform, second: Waveform, narrow: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Windows that all get the second look that the rule wants for them; (windows,) each."""
    wide = np.where(np.abs(first) < rule.certain, rule.wide.logit(first, second), first)  # type: ignore[arg-type]
    both = np.where(narrow, rule.narrow.logit(first, second), wide)  # type: ignore[arg-type]
    return np.asarray(both, np.float32)


def _average(weight: float, scale: float, offset: float) -> Fusion:
    share = weight / (1 + weight)
    return Fusion(1 - share, share * scale, share * offset)


def _narrow(windows: Waveform) -> NDArray[np.bool_]:
    return np.array([is_narrow({"bandwidth_hz": bandwidth_hz(it)}) for it in windows], bool)


def fit_head(features: Features, ridge: float = RIDGE, rounds: int = 60) -> Head:
    """Fit as the first network is: cross-entropy, and a group's synthetic windows above its human
    ones. Groups hold as many of either, so a source or a channel is no sign of a label, and one
    threshold must do for all of them."""
    flat = features.values.reshape(-1, features.values.shape[-1])
    mean, spread = flat.mean(0), flat.std(0) + 1e-6
    values = torch.from_numpy((features.values - mean) / spread)
    label = torch.tensor([0.0, 1.0])[None, :, None].expand(values.shape[:3])
    weight = torch.zeros(values.shape[3], requires_grad=True)
    constant = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, constant], max_iter=rounds, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        logit = values @ weight + constant
        gap = logit[:, 1, :, None] - logit[:, 0, None]
        total = functional.binary_cross_entropy_with_logits(logit, label)
        total = total + RANKING * functional.softplus(-gap).mean()
        total = total + ridge / 2 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total.detach()

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = (weight.detach().numpy() / spread).astype(np.float64)
    return Head(found, float(constant.detach()) - float(mean.astype(np.float64) @ found))


def export_second(network: nn.Module, rule: LookRule, first: str, path: Path) -> float:
    """Write the file and compare it with the network; returns the largest difference.

    `first` is the SHA-256 of the file whose looks come first. Raises ValueError if a difference
    exceeds TOLERANCE; the file is then removed. Large constants are stored as half floats, as the
    encoder was published; the network's are rounded to them.
    """
    with torch.no_grad():
        for value in (it for it in network.parameters() if it.numel() >= _SMALL):
            value.copy_(value.half().float())
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
    """Store as half floats what loses nothing by it."""
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
