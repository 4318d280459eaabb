"""Exponential moving average of a network: steadier than the weights of any one step."""

import copy

import torch
from torch import nn


class MovingAverage:
    """Holds a copy of the network that follows it slowly."""

    def __init__(self, network: nn.Module, decay: float = 0.998) -> None:
        self.network = copy.deepcopy(network).eval()
        self._decay = decay
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Follow the network by one step; faster at the beginning, where it changes most."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mine, theirs in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
