"""The voice scorer: waveform in, one logit out, everything between is part of the network.

Log-power spectrum, then a plain residual CNN with attentive statistics pooling (arXiv
1803.10963). No depth-wise convolutions: they train 13 times slower on a CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.voice.spectrum import BANDS, FrontEnd


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inner, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.second = nn.Conv2d(inner, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs or stride != (1, 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, bands, frames) → (batch, outputs, fewer bands, fewer frames)."""
        y = functional.relu(self.norm1(self.first(x)))
        y = self.norm2(self.second(y))
        return functional.relu(y + self.shortcut(x))


class AttentiveStatistics(nn.Module):
    """(batch, channels, frames) → weighted mean and deviation (batch, 2 x channels)."""

    def __init__(self, channels: int, hidden: int = 32) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the frames."""
        weight = torch.softmax(self.attention(x).float(), dim=2)
        x = x.float()
        mean = (weight * x).sum(2)
        variance = (weight * x.square()).sum(2) - mean.square()
        return torch.cat([mean, variance.clamp_min(1e-5).sqrt()], dim=1)


@dataclass(frozen=True, slots=True)
class Heads:
    """What training looks at; only `logit` is exported."""

    logit: Tensor
    """Of fake, (batch,)"""
    family: Tensor
    """Logits of generator families, (batch, families)"""
    direction: Tensor
    """Unit vectors (batch, DIRECTIONS): what the one-class and the contrastive loss compare."""
    frames: Tensor
    """Logits of synthesis every 40 ms, (batch, frames)"""


DIRECTIONS = 64


class Headed(nn.Module):
    """Waveform (batch, samples) → logit (batch,), by way of a spectrum that training masks."""

    front: Callable[[Tensor], Tensor]
    """Waveform → spectrum (batch, 1, bands, frames)."""

    def heads(self, spectrum: Tensor) -> Heads:
        """All heads of a spectrum (batch, 1, bands, frames)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Channels of the stem and the three stages, inside the stages, and of the embedding.

    Multiples of 16: what the vector units of a CPU take in one bite."""

    stages: tuple[int, int, int, int] = (32, 32, 64, 96)
    inner: tuple[int, int, int] = (32, 64, 96)
    embedding: int = 128


class VoiceNetwork(Headed):
    """The scorer, and the heads that only training has."""

    def __init__(self, families: int, size: NetworkSize | None = None) -> None:
        super().__init__()
        size = size or NetworkSize()
        a, b, c, d = size.stages
        self.front = FrontEnd()
        self.stem = nn.Sequential(
            nn.Conv2d(1, a, (7, 5), (4, 2), (3, 2), bias=False), nn.BatchNorm2d(a), nn.ReLU()
        )
        self.body = nn.Sequential(
            Residual(a, size.inner[0], b, (1, 1)),
            Residual(b, size.inner[1], c, (2, 2)),
            Residual(c, size.inner[2], d, (2, 1)),
        )
        rows = BANDS // 16
        self.embed = nn.Sequential(
            nn.Conv1d(d * rows, size.embedding, 1, bias=False),
            nn.BatchNorm1d(size.embedding),
            nn.ReLU(),
        )
        self.pool = AttentiveStatistics(size.embedding)
        self.drop = nn.Dropout(0.2)
        self.score = nn.Linear(2 * size.embedding, 1)
        self.family = nn.Linear(2 * size.embedding, families)
        self.direction = nn.Linear(2 * size.embedding, DIRECTIONS)
        self.frames = nn.Linear(size.embedding, 1)

    def embedded(self, spectrum: Tensor) -> Tensor:
        """Embedding every 40 ms, shape (batch, embedding, frames)."""
        embedded: Tensor = self.embed(self.body(self.stem(spectrum)).flatten(1, 2))
        return embedded

    def heads(self, spectrum: Tensor) -> Heads:
        """All heads of a spectrum (batch, 1, bands, frames)."""
        embedded = self.embedded(spectrum)
        pooled = self.drop(self.pool(embedded))
        return Heads(
            self.score(pooled).squeeze(1).float(),
            self.family(pooled).float(),
            functional.normalize(self.direction(pooled).float(), dim=1),
            self.frames(embedded.transpose(1, 2)).squeeze(2).float(),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → logit (batch,); what is exported."""
        score: Tensor = self.score(self.pool(self.embedded(self.front(waveform)))).squeeze(1)
        return score


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in network.parameters())
