"""How weights follow their gradients: AdamW, momentum, or sharpness-aware momentum."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

MOMENTUM = 0.9
PLAIN_RATE = 20.0
"""Rate of plain momentum over AdamW's: 0.03 against 1.5e-3. Its decay, which the rate
multiplies, is as much lower."""
RADIUS = 0.05
"""How far sharpness-aware minimisation climbs."""


class SharpnessAware(SGD):
    """SAM (arXiv 2010.01412) on momentum: the gradient is taken at the worst point nearby.

    After the first backward pass call `climb`, repeat the pass, then `step`.
    """

    def climb(self) -> None:
        """Move every weight up the gradient, RADIUS in all."""
        gradients = [p.grad for p in self._weights() if p.grad is not None]
        length = torch.stack([it.norm() for it in gradients]).norm() + 1e-12
        with torch.no_grad():
            for weight in self._weights():
                if weight.grad is not None:
                    moved = weight.grad * (RADIUS / length)
                    weight.add_(moved)
                    self.state[weight]["climbed"] = moved

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Go back to where `climb` began, and follow the gradient from there."""
        with torch.no_grad():
            for weight in self._weights():
                moved: Tensor | None = self.state[weight].pop("climbed", None)
                if moved is not None:
                    weight.sub_(moved)
        return super().step(closure)

    def _weights(self) -> list[Tensor]:
        return [weight for group in self.param_groups for weight in group["params"]]


Maker = Callable[[nn.Module, float, float], Optimizer]
OPTIMISERS: Mapping[str, Maker] = {
    "adamw": lambda net, rate, decay: AdamW(net.parameters(), lr=rate, weight_decay=decay),
    "sgd": lambda net, rate, decay: _momentum(SGD, net, rate, decay),
    "sam": lambda net, rate, decay: _momentum(SharpnessAware, net, rate, decay),
}


def make_optimiser(name: str, network: nn.Module, rate: float, decay: float) -> Optimizer:
    """One of OPTIMISERS; `rate` and `decay` are AdamW's, others get their equivalent."""
    return OPTIMISERS[name](network, rate, decay)


def _momentum(kind: type[SGD], network: nn.Module, rate: float, decay: float) -> Optimizer:
    return kind(
        network.parameters(),
        lr=rate * PLAIN_RATE,
        momentum=MOMENTUM,
        weight_decay=decay / PLAIN_RATE,
        nesterov=True,
    )
