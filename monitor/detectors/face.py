"""Face crops → logits for forged faces; a window's logit is their trimmed mean."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.inference.catalogue import Model
from monitor.inference.onnx import CPU, Session
from monitor.types import AbstentionReason, FaceLook, FaceWindow, Quality, Reading

MAX_YAW = 40.0
"""Degrees to either side beyond which the aligned crop no longer shows what was trained on."""
LEAST_SHARPNESS = 40.0
"""Below, the face is out of focus, moving, or enlarged before it was sent: 1 in 100 crops of the
development clips lies below 60, those sent at 360p and 150 kb/s included."""
LEAST_BITS = 0.003
"""Encoded bits for each pixel of a face below which not even its rim was sent as it was."""
DARK, BURNT = 0.06, 0.97
"""Mean brightness of the face, 0 to 1, outside which light hides it."""
_TRIMMED = 0.2
"""Share of the crops left out at either end: one blurred picture must not speak for the rest."""
_SIDE = 224


class FaceDetector:
    """The forgery network of `models/face`; without a model it never judges."""

    name = "face"

    def __init__(self, model: Model | None = None, providers: Sequence[str] = (CPU,)) -> None:
        self.model = model.version if model is not None else "none"
        self._session = Session(model.path, providers) if model is not None else None
        if self._session is not None:
            # The first run allocates; a call should not pay for it.
            self.look(np.zeros((1, 3, _SIDE, _SIDE), np.uint8))

    def look(self, crops: NDArray[np.uint8]) -> Sequence[FaceLook]:
        """Judge upright crops, shape (faces, 3, 224, 224), RGB; nothing without a model."""
        if self._session is None or not len(crops):
            return []
        faces = crops.astype(np.float32) / 255
        logits, heatmaps = self._session.run({self._session.inputs[0]: faces})[:2]
        return [
            FaceLook(float(logit), np.asarray(heatmap, np.float32))
            for logit, heatmap in zip(logits.reshape(-1), heatmaps, strict=True)
        ]

    def judge(self, window: FaceWindow) -> Reading:
        """Return the logit of the followed face, and those of others for people to see."""
        reason = self._unjudgeable(window)
        if reason is not None:
            return Reading(None, reason)
        value = trimmed_mean(window.logits)
        if not math.isfinite(value):
            return Reading(None, AbstentionReason.FAULT)
        others = {
            f"logit_face_{rank}": trimmed_mean(logits)
            for rank, logits in enumerate(window.others, 2)
        }
        return Reading(value, details={"crops": float(len(window.logits)), **others})

    def _unjudgeable(self, window: FaceWindow) -> AbstentionReason | None:
        if window.frames == 0:
            return AbstentionReason.GAP
        if window.quality.get("found_share", 0.0) == 0.0:
            return AbstentionReason.NO_FACE
        if not window.shown:
            return AbstentionReason.FACE_TOO_SMALL
        if self._session is None:
            return AbstentionReason.NO_MODEL
        if abs(window.quality["yaw_degrees"]) > MAX_YAW:
            return AbstentionReason.FACE_TURNED
        unclear = _unclear(window.quality)
        if unclear is not None:
            return unclear
        return None if len(window.logits) else AbstentionReason.TOO_SHORT


def _unclear(quality: Quality) -> AbstentionReason | None:
    """Why nothing can be seen in a face that is large enough and looks ahead, or None.

    What was not measured, as the bits of a picture that came without a codec, hides nothing.
    """
    if quality.get("sharpness", math.inf) < LEAST_SHARPNESS:
        return AbstentionReason.BLURRED
    if quality.get("bits_per_pixel", math.inf) < LEAST_BITS:
        return AbstentionReason.BLURRED
    brightness = quality.get("brightness", 0.5)
    return AbstentionReason.OCCLUDED if not DARK <= brightness <= BURNT else None


def trimmed_mean(logits: NDArray[np.float32]) -> float:
    """Mean of `logits`, shape (crops,), without the extremes; NaN for none."""
    if not len(logits):
        return math.nan
    cut = int(_TRIMMED * len(logits))
    return float(np.sort(logits)[cut : len(logits) - cut].mean())
