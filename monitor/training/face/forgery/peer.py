"""Somebody else's face classifier on our crops; its code and weights stay outside this project."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from monitor.inference.onnx import Session
from monitor.training.face.pictures.looks import Looks

_BATCH = 16
_CENTRE = 0.54
"""Where the middle of the face lies in a crop, as a share of its height."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a peer wants: an ONNX file with one input (batch, 3, size, size) and one number out."""

    size: int = 256
    part: int = 224
    """Pixels of our crop's middle that it is shown; peers differ in how tightly they cut."""
    low: float = 0.0
    high: float = 1.0
    """Values of black and white."""
    sign: int = 1
    """-1 if its output is high for genuine faces."""


def peer_scores(looks: Looks, session: Session, adapter: Adapter) -> NDArray[np.float64]:
    """Its number for every crop, turned so that higher = more likely forged; (looks,)."""
    found = []
    for i in range(0, len(looks), _BATCH):
        shown = np.stack([_shown(crop, adapter) for crop in looks.crops[i : i + _BATCH]])
        faces = shown.astype(np.float32) / 255 * (adapter.high - adapter.low) + adapter.low
        found.append(session.run({session.inputs[0]: faces})[0].reshape(-1))
    return adapter.sign * np.concatenate(found).astype(np.float64)


def _shown(crop: NDArray[np.uint8], adapter: Adapter) -> NDArray[np.uint8]:
    side = crop.shape[1]
    left = (side - adapter.part) // 2
    top = min(max(round(_CENTRE * side - adapter.part / 2), 0), side - adapter.part)
    box = (left, top, left + adapter.part, top + adapter.part)
    image = Picture.fromarray(crop.transpose(1, 2, 0))
    size = (adapter.size, adapter.size)
    return np.asarray(image.resize(size, Picture.Resampling.BILINEAR, box)).transpose(2, 0, 1)
