"""What training minimises."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """Weights of the terms beside the binary cross-entropy."""

    ranking: float = 0.5
    """Within a group every synthetic window should score above every human one. A source's
    packaging is the same for both, so it cannot help here."""
    family: float = 0.15
    smoothing: float = 0.03


def objective(
    logit: Tensor,
    family_logits: Tensor,
    fake: Tensor,
    family: Tensor,
    pairs: int,
    weights: ObjectiveWeights,
) -> Tensor:
    """Scalar loss of a batch in group order (per group `pairs` human, then `pairs` fake)."""
    target = fake * (1 - 2 * weights.smoothing) + weights.smoothing
    decision = functional.binary_cross_entropy_with_logits(logit, target)
    groups = logit.view(-1, 2, pairs)
    margin = groups[:, 1, :, None] - groups[:, 0, None, :]
    ranking = functional.softplus(-margin).mean()
    kind = functional.cross_entropy(family_logits, family, label_smoothing=0.05)
    return decision + weights.ranking * ranking + weights.family * kind


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
