"""Averages of networks: over the steps of a run, and over runs."""

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


class MovingAverage:
    """Holds a copy of the network that follows it slowly: steadier than the weights of any step."""

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


@torch.no_grad()
def averaged(networks: Sequence[N]) -> N:
    """The mean of every weight and statistic; of runs that began at the same weights.

    Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves
    accuracy without increasing inference time".
    """
    mean = copy.deepcopy(networks[0])
    states = [network.state_dict() for network in networks]
    for name, value in mean.state_dict().items():
        if value.dtype.is_floating_point:
            value.copy_(torch.stack([state[name] for state in states]).mean(0))
    return mean
