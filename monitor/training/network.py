"""The voice scorer: waveform in, one logit out, everything between is part of the network.

Log-power spectrum in linear bands (linear beats mel for spoofing, arXiv 2203.16263), then a
plain residual CNN with attentive statistics pooling (arXiv 1803.10963). No depth-wise
convolutions: they train 13 times slower on a CPU.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.types import SAMPLE_RATE

WINDOW = 400
"""Samples per spectrum: 25 ms."""
HOP = 160
"""Samples between spectra: 10 ms."""
FFT_BINS = 256
"""Bins 1 to 256 of a 512-point DFT: 31 Hz to 8 kHz, without the constant."""
BANDS = 128
PRE_EMPHASIS = 0.97
FLOOR = 1e-4
"""Added to the power of a signal of unit level: about 60 dB below it. What lies deeper is the
noise floor of someone's converter or encoder, which says nothing about who speaks."""


class FrontEnd(nn.Module):
    """Waveform (batch, samples) → centred log-power spectrum (batch, 1, BANDS, frames)."""

    dft: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dft", _dft_kernel(), persistent=False)
        self.register_buffer("bands", _band_matrix(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → spectrum."""
        # Unit level first, so that the floor below means the same at every gain. The bound
        # under the root only guards digital silence.
        level = waveform.square().mean(1, keepdim=True).add(1e-14).sqrt()
        signal = waveform / level
        signal = signal[:, 1:] - PRE_EMPHASIS * signal[:, :-1]
        spectrum = functional.conv1d(signal.unsqueeze(1), self.dft, stride=HOP)
        real, imaginary = spectrum[:, :FFT_BINS], spectrum[:, FFT_BINS:]
        power = real.square() + imaginary.square()
        log = torch.log(torch.matmul(self.bands, power) + FLOOR)
        # A fixed filter (microphone, line) is a constant per band: subtract it.
        return (log - log.mean(2, keepdim=True)).unsqueeze(1)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
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
class NetworkSize:
    """Channels of the stem and the three stages, and of the embedding.

    Multiples of 32: what the matrix units of a CPU take in one bite."""

    stages: tuple[int, int, int, int] = (32, 32, 64, 96)
    embedding: int = 128


class VoiceNetwork(nn.Module):
    """The trainable part: spectrum → (logit of fake, logits of generator families)."""

    def __init__(self, families: int, size: NetworkSize | None = None) -> None:
        super().__init__()
        size = size or NetworkSize()
        a, b, c, d = size.stages
        self.front = FrontEnd()
        self.stem = nn.Sequential(
            nn.Conv2d(1, a, (7, 5), (4, 2), (3, 2), bias=False), nn.BatchNorm2d(a), nn.ReLU()
        )
        self.body = nn.Sequential(
            Residual(a, b, (1, 1)),
            Residual(b, c, (2, 2)),
            Residual(c, d, (2, 1)),
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

    def pooled(self, spectrum: Tensor) -> Tensor:
        """Statistics of the embedding over time, shape (batch, 2 x embedding)."""
        x = self.body(self.stem(spectrum))
        pooled: Tensor = self.pool(self.embed(x.flatten(1, 2)))
        return pooled

    def heads(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(logit (batch,), family logits (batch, families)) of a spectrum."""
        pooled = self.drop(self.pooled(spectrum))
        return self.score(pooled).squeeze(1), self.family(pooled)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → logit (batch,); what is exported."""
        score: Tensor = self.score(self.pooled(self.front(waveform))).squeeze(1)
        return score


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in network.parameters())


def _dft_kernel() -> Tensor:
    """Hann-windowed cosines and sines, shape (2 x FFT_BINS, 1, WINDOW), of unit-noise gain 1."""
    time = torch.arange(WINDOW, dtype=torch.float64)
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    window = window / window.square().sum().sqrt()
    bins = torch.arange(1, FFT_BINS + 1, dtype=torch.float64)
    angle = 2 * math.pi * bins[:, None] * time / (2 * FFT_BINS)
    return torch.cat([angle.cos() * window, angle.sin() * window]).float().unsqueeze(1)


def _band_matrix() -> Tensor:
    """Triangular bands of equal width over the bins, shape (BANDS, FFT_BINS); rows sum to 1."""
    width = FFT_BINS / BANDS
    centre = (torch.arange(BANDS) + 0.5) * width - 0.5
    distance = (torch.arange(FFT_BINS)[None] - centre[:, None]).abs()
    weight = (1 - distance / width).clamp_min(0)
    return weight / weight.sum(1, keepdim=True)


assert 2 * FFT_BINS * 31.25 == SAMPLE_RATE
