"""A linear head on what the forgery network sees, fitted on matched pairs of real forgeries.

Both members of a pair show one picture, so their difference is the forgery and nothing else; the
head is fitted to these differences (Burges et al. 2005, "Learning to rank using gradient
descent"), and held near the genuine faces of other people so that one threshold fits all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.face.forgery.network import BOTTOM, CELLS, LEFT, RIGHT, TOP, ForgeryNetwork
from monitor.training.face.matched.contrast import Contrast
from monitor.training.face.matched.matched import Signs

QUARTER, EIGHTH = 4, 6
"""Blocks after which the maps are a quarter and an eighth of the crop's side."""
SEEN = "seen"
CONTRAST = "contrast"

Floats = NDArray[np.float32]


class Look(nn.Module):
    """A forgery network that also says what it saw."""

    def __init__(self, network: ForgeryNetwork) -> None:
        super().__init__()
        self.network = network
        self.contrast = Contrast()

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Signs (batch, signs) and border logits (batch, 11, 10) of crops (batch, 3, 224, 224)."""
        network = self.network
        quarter = network.blocks[:QUARTER](network.seen(faces))
        eighth = network.blocks[QUARTER:EIGHTH](quarter)
        features = network.blocks[EIGHTH:](eighth)
        border = network.border(features)
        weight = torch.sigmoid(border) + 1e-3
        there = (features * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
        seen = [features.mean(dim=(2, 3)), there, self.contrast(faces, [quarter, eighth])]
        return torch.cat(seen, dim=1), border[:, 0]


class RankedNetwork(nn.Module):
    """The network whose logit is a linear head on its signs."""

    def __init__(self, network: ForgeryNetwork, head: "Head") -> None:
        super().__init__()
        self.look = Look(network)
        self.head = nn.Linear(len(head.weight), 1)
        self.head.load_state_dict(
            {
                "weight": torch.from_numpy(head.weight)[None],
                "bias": torch.tensor([head.bias], dtype=torch.float32),
            }
        )

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """As `ForgeryNetwork`: logits (batch,) and heat-maps (batch, 14, 14)."""
        found, border = self.look(faces)
        around = (LEFT, CELLS - RIGHT, TOP, CELLS - BOTTOM)
        return self.head(found)[:, 0], functional.pad(torch.sigmoid(border), around)


@dataclass(frozen=True, slots=True)
class Head:
    """Weights of all signs, those that are not used 0."""

    weight: Floats
    bias: float

    def __call__(self, found: Floats) -> NDArray[np.float64]:
        """Logits of signs (rows, signs)."""
        return np.asarray(found @ self.weight + self.bias, np.float64)


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """What is fitted, and how hard it is held."""

    used: Sequence[str] = (SEEN, CONTRAST)
    ridge: float = 0.03
    """Weight of the squared weights of standardised signs."""
    pointwise: float = 0.5
    """Weight of telling every face alone, beside telling pairs apart."""
    steps: int = 200


def used_signs(total: int, seen: int, used: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the signs belong to the named groups; the first `seen` are the pooled features."""
    early = np.arange(total) < seen
    return (early & (SEEN in used)) | (~early & (CONTRAST in used))


def fit(signs: Signs, rows: NDArray[np.bool_], seen: int, plan: HeadPlan) -> Head:
    """Fit on some of the draws and on all genuine faces alone."""
    kept = used_signs(signs.real.shape[1], seen, plan.used)
    everyone = np.concatenate([signs.real[rows], signs.fake[rows], signs.alone])
    middle, scale = everyone.mean(axis=0), everyone.std(axis=0) + 1e-3
    real, fake, alone = (
        torch.from_numpy(((part - middle) / scale)[:, kept].astype(np.float32))
        for part in (signs.real[rows], signs.fake[rows], signs.alone)
    )
    share = torch.from_numpy((signs.weight[rows] / signs.weight[rows].sum()).astype(np.float32))
    weight = torch.zeros(int(kept.sum()), requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=plan.steps, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = (share * functional.softplus(-(fake - real) @ weight)).sum()
        told = functional.softplus(real @ weight + bias) + functional.softplus(
            -fake @ weight - bias
        )
        lone = functional.softplus(alone @ weight + bias).mean()
        value = value + plan.pointwise * ((share * told).sum() + lone)
        value = value + plan.ridge * (weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = np.zeros(len(kept), np.float32)
    found[kept] = weight.detach().numpy()
    found /= scale
    return Head(found.astype(np.float32), float(bias.detach()[0]) - float(found @ middle))
