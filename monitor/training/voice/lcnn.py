"""The other floor: a light CNN on linear-frequency cepstra, as ASVspoof's baseline has it.

Max-feature-map convolutions (arXiv 1511.02683; for spoofing arXiv 1904.05576) over 20 cepstra
with first and second differences. Trained like the network that ships, by the same steps.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.voice.network import DIRECTIONS, Headed, Heads
from monitor.training.voice.spectrum import BANDS, FrontEnd

COEFFICIENTS = 20
ROWS = 3 * COEFFICIENTS
POOLINGS = 4


class Cepstra(nn.Module):
    """Waveform (batch, samples) → cepstra and their differences (batch, 1, ROWS, frames)."""

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = FrontEnd()
        at = (torch.arange(BANDS) + 0.5) / BANDS
        order = torch.arange(COEFFICIENTS)[:, None]
        basis = torch.cos(math.pi * order * at) * math.sqrt(2 / BANDS)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → features."""
        static = self.basis @ self.spectrum(waveform)
        first = _difference(static)
        return torch.cat([static, first, _difference(first)], 2)


def _difference(x: Tensor) -> Tensor:
    return (functional.pad(x[..., 1:], (0, 1)) - functional.pad(x[..., :-1], (1, 0))) / 2


class MaxFeature(nn.Module):
    """Convolution whose output channels compete in pairs."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, 2 * outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, rows, frames) → (batch, outputs, rows, frames)."""
        one, other = self.convolve(x).chunk(2, 1)
        return torch.maximum(one, other)


class LightNetwork(Headed):
    """As `VoiceNetwork`: waveform → logit, and the heads that training has."""

    def __init__(self, families: int) -> None:
        super().__init__()
        self.front = Cepstra()
        layers: list[nn.Module] = [MaxFeature(1, 32, 5), nn.MaxPool2d(2)]
        inputs = 32
        for outputs, pool in ((48, True), (64, True), (32, False), (32, True)):
            layers += [MaxFeature(inputs, inputs, 1), nn.BatchNorm2d(inputs)]
            layers += [MaxFeature(inputs, outputs, 3)]
            layers += [nn.MaxPool2d(2)] if pool else []
            layers += [nn.BatchNorm2d(outputs)]
            inputs = outputs
        self.body = nn.Sequential(*layers)
        size = inputs * (ROWS >> POOLINGS)
        self.drop = nn.Dropout(0.5)
        self.score = nn.Linear(size, 1)
        self.family = nn.Linear(size, families)
        self.direction = nn.Linear(size, DIRECTIONS)
        self.frames = nn.Linear(size, 1)

    def heads(self, spectrum: Tensor) -> Heads:
        """All heads of features (batch, 1, ROWS, frames)."""
        embedded = self.body(spectrum).flatten(1, 2).float()
        pooled = self.drop(embedded.mean(2))
        return Heads(
            self.score(pooled).squeeze(1).float(),
            self.family(pooled).float(),
            functional.normalize(self.direction(pooled).float(), dim=1),
            self.frames(embedded.transpose(1, 2)).squeeze(2).float(),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → logit (batch,)."""
        return self.heads(self.front(waveform)).logit
