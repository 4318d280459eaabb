"""Small neural vocoders: human speech → features → the same speech, with a vocoder's traces.

They carry nobody's voice or words over to anything else: what goes in comes out, resynthesised.
Mel features into an inverse short-time Fourier transform (Vocos, arXiv 2306.00814), plain or
refined against a discriminator (HiFi-GAN, arXiv 2010.05646), and the same as a codec, whose
features pass a scalar quantiser (FSQ, arXiv 2309.15505).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.data.copysynthesis import mel_matrix
from monitor.types import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class VocoderShape:
    """What distinguishes one vocoder from another."""

    hop: int
    """Samples between frames."""
    bands: int
    """Mel bands of the features."""
    quantised: int = 0
    """Numbers of eight levels that a frame is squeezed into; 0 leaves the features as they are."""
    adversarial: bool = True
    """Whether it is refined against a discriminator."""
    width: int = 160

    @property
    def size(self) -> int:
        """Samples of an analysis window."""
        return 4 * self.hop


VOCODERS = {
    "istft": VocoderShape(256, 80, adversarial=False),
    "istft-gan": VocoderShape(200, 100),
    "codec-gan": VocoderShape(160, 64, quantised=16),
}
"""By name of the method of copy-synthesis."""
LEVELS = 8


class LogMel(nn.Module):
    """Waveform (batch, samples) → log-mel features (batch, bands, frames), about unit scale."""

    window: Tensor
    matrix: Tensor

    def __init__(self, shape: VocoderShape) -> None:
        super().__init__()
        self._shape = shape
        matrix = mel_matrix(shape.size, shape.bands, SAMPLE_RATE, 0, SAMPLE_RATE / 2)
        matrix = matrix / matrix.sum(1, keepdims=True).clip(1e-9)
        self.register_buffer("matrix", torch.from_numpy(matrix).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(shape.size), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → features; frames = samples // hop + 1."""
        size, hop = self._shape.size, self._shape.hop
        spectrum = torch.stft(waveform, size, hop, window=self.window, return_complex=True)
        return torch.log(self.matrix @ spectrum.abs() + 1e-3) / 3 + 1


class Dilated(nn.Module):
    """Residual convolution over frames."""

    def __init__(self, width: int, dilation: int, kernel: int = 3) -> None:
        super().__init__()
        reach = dilation * (kernel - 1) // 2
        self.mix = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        y: Tensor = self.out(functional.leaky_relu(self.mix(functional.leaky_relu(x, 0.1)), 0.1))
        return x + y


class Vocoder(nn.Module):
    """Waveform → resynthesised waveform, aligned; see `VocoderShape`."""

    window: Tensor

    def __init__(self, shape: VocoderShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.features = LogMel(shape)
        code: list[nn.Module] = [nn.Conv1d(shape.bands, width, 5, padding=2)]
        if shape.quantised:
            code += [Dilated(width, 1), Dilated(width, 2), nn.Conv1d(width, shape.quantised, 1)]
        self.encode = nn.Sequential(*code)
        self.expand = nn.Conv1d(shape.quantised, width, 5, padding=2) if shape.quantised else None
        self.trunk = nn.Sequential(*[Dilated(width, d) for d in (1, 2, 4, 1, 2, 4)])
        self.head = nn.Conv1d(width, shape.size + 2, 1)
        self.register_buffer("window", torch.hann_window(shape.size), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) → (batch, samples)."""
        x = self.encode(self.features(waveform))
        if self.expand is not None:
            # Rounding has no gradient: it is passed straight through.
            bounded = (LEVELS - 1) / 2 * torch.tanh(x)
            x = self.expand(bounded + (bounded.round() - bounded).detach())
        x = self.head(self.trunk(x)).float()
        level, phase = x.chunk(2, 1)
        spectrum = torch.polar(torch.exp(level.clamp(max=6)), phase)
        return torch.istft(
            spectrum, self.shape.size, self.shape.hop, window=self.window, length=waveform.shape[1]
        )


class Discriminator(nn.Module):
    """Judges log spectra at two resolutions; returns scores and the features on the way."""

    def __init__(self, sizes: tuple[int, ...] = (256, 1024)) -> None:
        super().__init__()
        self._sizes = sizes
        self.towers = nn.ModuleList(nn.ModuleList(_tower()) for _ in sizes)

    def forward(self, waveform: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(batch, samples) → (scores, features)."""
        scores, features = [], []
        for size, tower in zip(self._sizes, self.towers, strict=True):
            x = log_spectrum(waveform, size).unsqueeze(1)
            for layer in list(tower)[:-1]:  # type: ignore[call-overload]
                x = functional.leaky_relu(layer(x), 0.1)
                features.append(x)
            scores.append(tower[-1](x))  # type: ignore[index]
        return scores, features


def _tower() -> list[nn.Module]:
    strides = ((2, 2), (2, 1), (2, 2), (2, 2))
    width = (1, 16, 16, 32, 32)
    layers: list[nn.Module] = [
        nn.Conv2d(width[i], width[i + 1], (5, 3), stride, (2, 1))
        for i, stride in enumerate(strides)
    ]
    return [*layers, nn.Conv2d(width[-1], 1, 3, 1, 1)]


def log_spectrum(waveform: Tensor, size: int) -> Tensor:
    """Log magnitude (batch, bins, frames), hop a quarter of `size`."""
    window = torch.hann_window(size)
    spectrum = torch.stft(waveform, size, size // 4, window=window, return_complex=True)
    return torch.log(spectrum.abs() + 1e-3)


def spectral_distance(made: Tensor, true: Tensor) -> Tensor:
    """Mean difference of log magnitudes at three resolutions, and of magnitudes at one."""
    total = torch.zeros(())
    for size in (256, 512, 1024):
        a, b = log_spectrum(made, size), log_spectrum(true, size)
        total = total + functional.l1_loss(a, b) + functional.l1_loss(a.exp(), b.exp())
    return total / 3
