"""Small autoencoders that show each face crop again: what a swap network's decoder leaves behind.

Every one is fitted on the training crops and rebuilds the same crop it was given, pixel for pixel
in place: the same person, the same look. Such twins stand in for decoders of forgery networks
(TwinD, the data of arXiv 2605.10334, has the idea). They never leave the training machine.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.face.pictures.crops import Crops

_log = logging.getLogger(__name__)
SIDE = 192
"""Pixels of the picture that is encoded: as coarse as present-day swap networks."""
_WIDTHS = (24, 48, 96)
_PATCH, _BATCH = 64, 16


@dataclass(frozen=True, slots=True)
class Design:
    """One autoencoder: how narrow, and how it enlarges."""

    latent: int
    """Channels of the narrowest layer, which has one place for 8 x 8 pixels."""
    enlarging: str
    """`transposed`, `nearest` or `shuffle`: each leaves traces of its own."""


DESIGNS = (Design(6, "transposed"), Design(12, "nearest"), Design(32, "shuffle"))


class Autoencoder(nn.Module):
    """RGB (batch, 3, 192, 192) in [0, 1] → the same."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for width in _WIDTHS:
            layers += [nn.Conv2d(inside, width, 4, 2, 1), nn.ReLU()]
            inside = width
        layers += [nn.Conv2d(inside, design.latent, 1), nn.Conv2d(design.latent, inside, 1)]
        for width in (*_WIDTHS[-2::-1], _WIDTHS[0]):
            layers += [_enlarged(design.enlarging, inside, width), nn.ReLU()]
            inside = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(inside, 3, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Rebuild pictures."""
        rebuilt: Tensor = self.layers(pictures - 0.5)
        return rebuilt + 0.5


def _enlarged(kind: str, inside: int, outside: int) -> nn.Module:
    if kind == "transposed":
        return nn.ConvTranspose2d(inside, outside, 4, 2, 1)
    if kind == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, 1, 1))
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(inside, 4 * outside, 3, 1, 1), nn.PixelShuffle(2))
    raise ValueError(f"enlarging {kind!r}")


def fit(
    crops: Crops, design: Design, minutes: float, steps: int = 1_000_000, seed: int = 0
) -> Autoencoder:
    """Train one for some minutes or steps: mean absolute difference of pixels and gradients."""
    torch.manual_seed(seed)
    network: Autoencoder = Autoencoder(design).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    pictures = shrunk(crops)
    rng = np.random.default_rng(seed)
    began = time.monotonic()
    share = 0.0
    step = 0
    while share < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - 0.95 * share)
        batch = as_tensor(_patches(pictures, rng))
        rebuilt = network(batch)
        loss = functional.l1_loss(rebuilt, batch) + _gradient_difference(rebuilt, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        share = max((time.monotonic() - began) / (60 * minutes), step / steps)
        if step % 50 == 0:
            _log.info("%s step %d loss %.4f", design, step, loss.item())
    return network.eval()


def _patches(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random parts, upright or mirrored: the network looks at neighbourhoods only."""
    which = rng.integers(0, len(pictures), _BATCH)
    corner = rng.integers(0, SIDE - _PATCH + 1, (_BATCH, 2))
    some = [
        pictures[i, y : y + _PATCH, x : x + _PATCH] for i, (y, x) in zip(which, corner, strict=True)
    ]
    return np.stack(some)[:, :, :: rng.choice([1, -1])]


def shrunk(crops: Crops) -> NDArray[np.uint8]:
    """The crops as the autoencoders take them, shape (crops, 192, 192, 3)."""
    return np.stack([np.asarray(Picture.fromarray(w).resize((SIDE, SIDE))) for w in crops.wide])


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (batch, height, width, 3) → float (batch, 3, height, width) in [0, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 255


def rebuild(network: Autoencoder, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every picture once through the network, shape and type kept."""
    rebuilt = np.empty_like(pictures)
    with torch.no_grad():
        for i in range(0, len(pictures), 32):
            out = network(as_tensor(pictures[i : i + 32])).clamp(0, 1) * 255
            rebuilt[i : i + 32] = out.round().byte().permute(0, 2, 3, 1).numpy()
    return rebuilt


def make_twins(crops: Crops, path: Path, minutes: float) -> None:
    """Fit every design for `minutes` and write all crops rebuilt by each.

    The file holds `twins`, uint8 (designs, crops, 192, 192, 3), in the order of the crops.
    """
    pictures = shrunk(crops)
    twins = []
    for design in DESIGNS:
        twins.append(rebuild(fit(crops, design, minutes), pictures))
        error = np.square(twins[-1].astype(np.float32) - pictures).mean(axis=(1, 2, 3))
        decibels = 10 * np.log10(255**2 / np.maximum(error, 1e-6))
        _log.info("%s: PSNR %.1f dB", design, float(np.median(decibels)))
    np.save(path, np.stack(twins))


def _gradient_difference(rebuilt: Tensor, pictures: Tensor) -> Tensor:
    return functional.l1_loss(rebuilt.diff(dim=2), pictures.diff(dim=2)) + functional.l1_loss(
        rebuilt.diff(dim=3), pictures.diff(dim=3)
    )
