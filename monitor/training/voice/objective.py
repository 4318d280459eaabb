"""What training minimises."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from monitor.training.voice.batches import Batch
from monitor.training.voice.network import Heads


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """Weights of the terms beside the binary cross-entropy."""

    ranking: float = 0.5
    """Within a group every synthetic window should score above every human one. A source's
    packaging is the same for both, so it cannot help here."""
    family: float = 0.15
    smoothing: float = 0.03
    one_class: float = 0.0
    """OC-Softmax (arXiv 2010.13995): humans within a cone, everything else outside of it, so
    that what was never heard need not resemble the synthesis that was."""
    contrast: float = 0.0
    """Human windows of a group alike, synthetic ones of the same group unlike them."""
    frames: float = 0.0
    """Cross-entropy every BLOCK frames: where in a window the synthesis is."""


BLOCK = 4
"""Frames of 40 ms that share one decision."""
SHARPNESS, NEAR, FAR = 20.0, 0.9, 0.2
"""Of OC-Softmax: scale, and cosines that humans should exceed and others stay below."""
ALIKE, UNLIKE = 0.6, 0.2
"""Cosines that the contrastive loss asks for."""


def objective(heads: Heads, batch: Batch, pairs: int, weights: ObjectiveWeights) -> Tensor:
    """Scalar loss of a batch in group order (per group `pairs` human, then `pairs` fake)."""
    target = batch.fake * (1 - 2 * weights.smoothing) + weights.smoothing
    total = functional.binary_cross_entropy_with_logits(heads.logit, target)
    groups = heads.logit.view(-1, 2, pairs)
    margin = groups[:, 1, :, None] - groups[:, 0, None, :]
    total = total + weights.ranking * functional.softplus(-margin).mean()
    kind = functional.cross_entropy(heads.family, batch.family, label_smoothing=0.05)
    total = total + weights.family * kind
    if weights.one_class:
        total = total + weights.one_class * one_class(heads.direction, batch.fake)
    if weights.contrast:
        total = total + weights.contrast * contrast(heads.direction, pairs)
    if weights.frames:
        total = total + weights.frames * by_block(heads.frames, batch.synthetic)
    return total


def one_class(direction: Tensor, fake: Tensor) -> Tensor:
    """OC-Softmax about the first axis; `direction` (batch, n) are unit vectors."""
    cosine = direction[:, 0]
    beyond = torch.where(fake > 0.5, cosine - FAR, NEAR - cosine)
    return functional.softplus(SHARPNESS * beyond).mean() / SHARPNESS


def contrast(direction: Tensor, pairs: int) -> Tensor:
    """Squared misses of ALIKE among the humans of a group, of UNLIKE between the classes."""
    groups = direction.view(-1, 2, pairs, direction.shape[1])
    human, fake = groups[:, 0], groups[:, 1]
    across = (human @ fake.transpose(1, 2) - UNLIKE).clamp_min(0).square().mean()
    among = human @ human.transpose(1, 2)
    others = ~torch.eye(pairs, dtype=torch.bool)
    return across + (ALIKE - among[:, others]).clamp_min(0).square().mean()


def by_block(frames: Tensor, synthetic: Tensor) -> Tensor:
    """Cross-entropy of the mean logit of each block with its synthetic share."""
    found = functional.avg_pool1d(frames, BLOCK)
    wanted = functional.avg_pool1d(synthetic, BLOCK)
    count = min(found.shape[1], wanted.shape[1])
    return functional.binary_cross_entropy_with_logits(found[:, :count], wanted[:, :count])


def mask_spectrum(spectrum: Tensor, generator: torch.Generator) -> Tensor:
    """Flatten random bands and stretches of time to the mean, 0 (SpecAverage, arXiv 2110.10491).

    One band and one stretch per window of a batch (batch, 1, bands, frames).
    """
    batch, _, bands, frames = spectrum.shape
    keep = torch.ones_like(spectrum)
    for axis, size, widest in ((2, bands, bands // 5), (3, frames, frames // 6)):
        width = torch.randint(0, widest + 1, (batch, 1), generator=generator)
        first = (torch.rand(batch, 1, generator=generator) * (size - width)).long()
        at = torch.arange(size)
        hidden = (at >= first) & (at < first + width)
        shape = [batch, 1, 1, 1]
        shape[axis] = size
        keep = keep.masked_fill(hidden.view(shape), 0)
    return spectrum * keep
