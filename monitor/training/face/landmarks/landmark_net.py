"""The landmark network: an upright crop → 104 points, pose, and whether to believe them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from monitor.analysis.landmarker import INPUT_SIDE
from monitor.types.landmarks import POINTS

_MEAN, _SPREAD = 0.45, 0.27
"""Of the brightness of faces, 0 to 1; the same for every colour."""
_DEGREES = 30.0
"""The pose leaves the last layer in these units, so that it weighs like the points."""
_FINE, _COARSE = 8, 24
"""Channels that reach the last layers, at an eighth and a sixteenth of the crop's resolution."""


class Found(NamedTuple):
    """What the network says of a batch."""

    points: Tensor
    """Shape (batch, POINTS, 2), shares of the crop's side."""
    pose: Tensor
    """Yaw, pitch and roll in the crop, degrees, shape (batch, 3)."""
    face: Tensor
    """Logit that this is a face and the points lie on it, shape (batch,)."""


class _Residual(nn.Module):
    """Two plain convolutions beside a shortcut: cheap to train on a CPU, unlike depth-wise ones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.end = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, channels, rows, columns), kept."""
        out: Tensor = self.end(x + self.body(x))
        return out


def _halving(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _places(channels: int, kept: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, kept, 1), nn.ReLU(inplace=True), nn.Flatten())


class LandmarkNet(nn.Module):
    """Takes float32 crops (batch, 3, 112, 112), RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            _halving(3, 16),
            _halving(16, 32),
            _halving(32, 48),
            _Residual(48),
            _Residual(48),
        )
        self.whole = nn.Sequential(_halving(48, 96), _Residual(96))
        # What is where, at two scales: the last layers see places, not averages.
        self.places = nn.ModuleList([_places(48, _FINE), _places(96, _COARSE)])
        cells = (INPUT_SIDE // 16) ** 2
        self.head = nn.Sequential(
            nn.Linear((4 * _FINE + _COARSE) * cells, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 2 * POINTS + 4),
        )

    def forward(self, crops: Tensor) -> Found:
        """Return points, pose and belief."""
        fine = self.fine((crops - _MEAN) / _SPREAD)
        whole = self.whole(fine)
        out = self.head(torch.cat([self.places[0](fine), self.places[1](whole)], dim=1))
        points = out[:, : 2 * POINTS].reshape(-1, POINTS, 2) + 0.5
        return Found(points, out[:, 2 * POINTS : -1] * _DEGREES, out[:, -1])
