"""The front end of the voice scorer: waveform → centred log-power spectrum in linear bands.

Linear bands beat mel for spoofing (arXiv 2203.16263).
"""

import math

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

assert 2 * FFT_BINS * 31.25 == SAMPLE_RATE
assert 2 * HOP < WINDOW < 3 * HOP


class FrontEnd(nn.Module):
    """Waveform (batch, samples) → centred log-power spectrum (batch, 1, BANDS, frames)."""

    cosines: Tensor
    sines: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        cosines, sines = _dft_halves()
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        self.register_buffer("bands", band_matrix().T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → spectrum."""
        # Unit level first, so that the floor below means the same at every gain. The bound
        # under the root only guards digital silence.
        level = waveform.square().mean(1, keepdim=True).add(1e-14).sqrt()
        signal = waveform / level
        frames = _frames(signal[:, 1:] - PRE_EMPHASIS * signal[:, :-1])
        # The window is symmetric about its middle, so cosines see only the even part of a frame
        # and sines only the odd one: half the multiplications of a plain transform. Power does
        # not depend on where time is zero.
        middle = WINDOW // 2
        before = frames[..., 1:middle].flip(2)
        after = frames[..., middle + 1 :]
        even = torch.cat([frames[..., middle : middle + 1], after + before], 2)
        power = (even @ self.cosines).square() + ((after - before) @ self.sines).square()
        log = torch.log(power @ self.bands + FLOOR).transpose(1, 2)
        # A fixed filter (microphone, line) is a constant per band: subtract it.
        return (log - log.mean(2, keepdim=True)).unsqueeze(1)


def _frames(signal: Tensor) -> Tensor:
    """Overlapping frames, shape (batch, frames, WINDOW), pieced together from whole hops.

    A convolution would do it in one step, but runs at a fraction of the speed of a product of
    matrices where there is one channel.
    """
    count = (signal.shape[1] - WINDOW) // HOP + 1
    rest = WINDOW - 2 * HOP
    padded = functional.pad(signal, (0, HOP - rest))[:, : (count + 2) * HOP]
    hops = padded.reshape(signal.shape[0], count + 2, HOP)
    return torch.cat([hops[:, :-2], hops[:, 1:-1], hops[:, 2:, :rest]], 2)


def _dft_halves() -> tuple[Tensor, Tensor]:
    """Cosines (WINDOW / 2, FFT_BINS) and sines (WINDOW / 2 - 1, FFT_BINS) about the middle of
    the frame, times a Hann window of unit noise gain; sines leave out the middle, where they
    are 0, and both the frame's first sample, where the window is."""
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    half = (window / window.square().sum().sqrt())[WINDOW // 2 :, None]
    time = torch.arange(WINDOW // 2, dtype=torch.float64)
    bins = torch.arange(1, FFT_BINS + 1, dtype=torch.float64)
    angle = 2 * math.pi * time[:, None] * bins / (2 * FFT_BINS)
    cosines, sines = angle.cos() * half, angle.sin() * half
    return cosines.float(), sines[1:].float()


def band_matrix() -> Tensor:
    """Triangular bands of equal width over the bins, shape (BANDS, FFT_BINS); rows sum to 1."""
    width = FFT_BINS / BANDS
    centre = (torch.arange(BANDS) + 0.5) * width - 0.5
    distance = (torch.arange(FFT_BINS)[None] - centre[:, None]).abs()
    weight = (1 - distance / width).clamp_min(0)
    return weight / weight.sum(1, keepdim=True)
