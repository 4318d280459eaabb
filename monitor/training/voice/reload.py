"""The shipped file → a network that training can go on from.

Export folds every normalisation into the convolution before it. Unfolding takes the statistics
that were folded in, which any speech gives back: the network's output does not depend on them,
only the first steps of training do.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from monitor.training.voice.network import NetworkSize, VoiceNetwork

Norm = nn.BatchNorm1d | nn.BatchNorm2d


def reload_network(path: Path, families: int, speech: Iterable[Tensor]) -> VoiceNetwork:
    """The network of an exported file, as wide as it is there; the family head is new.

    `speech` holds waveforms (batch, samples) as training sees them; without any the network is
    good for scoring, not for training. Raises ValueError if the file is no export of a voice
    network.
    """
    graph = onnx.load(path).graph
    values = {it.name: numpy_helper.to_array(it) for it in graph.initializer}
    exported = [node for node in graph.node if node.op_type == "Conv" and node.input[1] in values]
    score = [node for node in graph.node if node.op_type == "Gemm"]
    try:
        widths = [len(values[node.input[1]]) for node in exported]
        stem, inner0, out0, inner1, out1, _, inner2, out2, _, embedding, *_ = widths
    except ValueError as error:
        raise ValueError(f"{path}: no voice network: {len(exported)} convolutions") from error
    size = NetworkSize((stem, out0, out1, out2), (inner0, inner1, inner2), embedding)
    network = VoiceNetwork(families, size)
    layers = [it for it in network.modules() if isinstance(it, nn.Conv1d | nn.Conv2d)]
    if len(exported) != len(layers) or len(score) != 1:
        raise ValueError(f"{path}: no voice network: {len(exported)} convolutions")
    norms = _norms(network)
    with torch.no_grad():
        for node, layer in zip(exported, layers, strict=True):
            weight, bias = (torch.from_numpy(values[name].copy()) for name in node.input[1:3])
            if weight.shape != layer.weight.shape:
                raise ValueError(f"{path}: {node.name} is {tuple(weight.shape)}")
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
            else:
                _pass_through(norms[layer], bias)
        for parameter, name in zip(network.score.parameters(), score[0].input[1:3], strict=True):
            parameter.copy_(torch.from_numpy(values[name].copy()))
        _unfold(network, norms, speech)
    return network


def _norms(network: VoiceNetwork) -> dict[nn.Module, Norm]:
    """The normalisation behind each convolution that has one: the next one among the modules,
    or for the first convolutions of a block the one of the same number."""
    pairs: dict[nn.Module, Norm] = {}
    for block in network.body:
        pairs |= {block.first: block.norm1, block.second: block.norm2}  # type: ignore[dict-item]
    for chain in (it for it in network.modules() if isinstance(it, nn.Sequential)):
        for layer, norm in zip(chain, list(chain)[1:], strict=False):
            if isinstance(norm, Norm):
                pairs[layer] = norm
    return pairs


def _pass_through(norm: Norm, bias: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)


def _unfold(network: VoiceNetwork, norms: dict[nn.Module, Norm], speech: Iterable[Tensor]) -> None:
    """Let every normalisation expect what really comes, at unit variance, and undo it."""
    seen: dict[nn.Module, list[np.ndarray[Any, Any]]] = {layer: [] for layer in norms}

    def note(layer: nn.Module, _: Any, out: Tensor) -> None:
        axes = [i for i in range(out.dim()) if i != 1]
        seen[layer].append(torch.stack([out.mean(axes), out.square().mean(axes)]).double().numpy())

    hooks = [layer.register_forward_hook(note) for layer in norms]
    training = network.training
    network.eval()
    for waveform in speech:
        network(waveform)
    network.train(training)
    for hook in hooks:
        hook.remove()
    for layer, norm in norms.items():
        if not seen[layer]:
            continue
        mean, square = (torch.from_numpy(it).float() for it in np.mean(seen[layer], axis=0))
        scale = (square - mean.square()).clamp_min(1e-8).sqrt()
        layer.weight.div_(scale.view(-1, *[1] * (layer.weight.dim() - 1)))  # type: ignore[operator]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean / scale)
        norm.running_var.fill_(1)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.bias.add_(mean)
