"""A network → the same with fewer channels inside its residual blocks, fitted to do the same.

Channels between a block's two convolutions go one by one, always the one that the others can
best stand in for, and the second convolution is fitted again by least squares to give what it
gave before (channel pruning, arXiv 1707.06168). What a block takes and gives keeps its width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from monitor.training.voice.network import Residual, VoiceNetwork

PLACES = 24_000
"""Places of a batch's feature maps that the fit looks at."""
RIDGE = 1e-4
"""Of the fit, as a share of the mean power."""


@torch.no_grad()
def narrow(wide: VoiceNetwork, narrowed: VoiceNetwork, speech: Sequence[Tensor]) -> list[float]:
    """Give `narrowed` what `wide` knows; returns each block's relative error of power.

    `speech` holds waveforms (batch, samples) as training sees them. Raises ValueError where
    `narrowed` has the wider block.
    """
    features = [wide.stem(wide.front(waveform)) for waveform in speech]
    kept = {
        name: value
        for name, value in wide.state_dict().items()
        if not name.startswith("body.") or value.shape == narrowed.state_dict()[name].shape
    }
    narrowed.load_state_dict(kept, strict=False)
    errors = []
    for before, after in zip(wide.body, narrowed.body, strict=True):
        assert isinstance(before, Residual)
        assert isinstance(after, Residual)
        errors.append(_narrow_block(before, after, features))
        features = [before(x) for x in features]
    return errors


def _narrow_block(wide: Residual, narrowed: Residual, features: Sequence[Tensor]) -> float:
    channels, count = wide.second.in_channels, narrowed.second.in_channels
    if count > channels:
        raise ValueError(f"{count} channels out of {channels}")
    if count == channels:
        return 0.0
    inner = [functional.relu(wide.norm1(wide.first(x))) for x in features]
    rows = torch.cat([_patches(x) for x in inner]).double()
    wanted = torch.cat([_places(wide.second(x)) for x in inner]).double()
    gram, cross = rows.T @ rows, rows.T @ wanted
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    kept, weight = _eliminate(gram, cross, channels, count)
    at = torch.tensor(kept)
    narrowed.first.weight.copy_(wide.first.weight[at])
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(narrowed.norm1, name).copy_(getattr(wide.norm1, name)[at])
    narrowed.second.weight.copy_(weight.T.reshape(narrowed.second.weight.shape).float())
    taps = torch.cat([torch.arange(9) + 9 * channel for channel in kept])
    left = wanted - rows[:, taps] @ weight
    return float(left.square().sum() / wanted.square().sum())


def _eliminate(gram: Tensor, cross: Tensor, channels: int, count: int) -> tuple[list[int], Tensor]:
    """Backward elimination of groups of nine regressors: (channels kept, their weights)."""
    inverse = torch.linalg.inv(gram)
    weight = inverse @ cross
    kept = list(range(channels))
    while len(kept) > count:
        blocks = inverse.view(len(kept), 9, len(kept), 9)
        own = torch.linalg.inv(torch.stack([blocks[i, :, i] for i in range(len(kept))]))
        each = weight.view(len(kept), 9, -1)
        loss = torch.einsum("cio,cij,cjo->c", each, own, each)
        worst = int(loss.argmin())
        taps = torch.arange(9) + 9 * worst
        others = torch.tensor([i for i in range(9 * len(kept)) if i // 9 != worst])
        toward = inverse[:, taps] @ own[worst]
        weight = (weight - toward @ weight[taps])[others]
        inverse = (inverse - toward @ inverse[taps])[others][:, others]
        del kept[worst]
    return kept, weight


def _patches(x: Tensor) -> Tensor:
    """3 x 3 neighbourhoods (places, 9 x channels) at evenly spaced places."""
    unfolded = functional.unfold(x, 3, padding=1).transpose(1, 2).flatten(0, 1)
    return unfolded[:: -(-len(unfolded) // PLACES)]


def _places(y: Tensor) -> Tensor:
    """(places, channels) at the places of `_patches`."""
    flat = y.flatten(2).transpose(1, 2).flatten(0, 1)
    return flat[:: -(-len(flat) // PLACES)]
