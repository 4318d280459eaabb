"""What is left of a forgery's traces in a small face, or in a few bits: where not to judge."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.inference.onnx import Session
from monitor.training.face.forgery.degradation import FACE_SHARE, Degradation, degraded, sent
from monitor.training.face.forgery.pseudofakes import drawn_recipe, forge
from monitor.training.face.pictures.crops import Crops
from monitor.training.measure.metrics import area_under_curve

WIDTHS = (50, 60, 80, 100, 108)
"""Widths of the face in transmitted pixels; the last shows the crop as it is."""
QUANTISERS = (20, 26, 32, 36, 40, 44)
_QUANTISED_AT = 100
_ROUNDS = 500


def survival(
    crops: Crops,
    points: NDArray[np.float64],
    twins: NDArray[np.uint8],
    session: Session,
    count: int = 150,
) -> dict[str, Any]:
    """AUC on the same `count` forgeries of held-out people by width, and by bits in H.264.

    Genuine and forged share every step. Values: [AUC, low, high] and, for the codec, the median
    of the encoded bits for each pixel.
    """
    wide = np.flatnonzero(crops.face_px >= WIDTHS[-1])
    rng = np.random.default_rng(5)
    forgeries = []
    for _ in range(count):
        row = int(rng.choice(wide))
        recipe = drawn_recipe(rng)
        forgeries.append(forge(crops.wide[row], points[row], recipe, rng, twins[:, row]))
    report: dict[str, Any] = {"pairs": count, "width": {}, "codec": {}}
    for width in WIDTHS:
        how = Degradation(side=min(round(width / FACE_SHARE), 224), jpeg=90)
        pairs = [(degraded(f.real, how), degraded(f.fake, how)) for f in forgeries]
        report["width"][str(width)] = _area(pairs, session)
    base = Degradation(side=round(_QUANTISED_AT / FACE_SHARE), codec="h264", frames=6)
    for quantiser in QUANTISERS:
        how = replace(base, quantiser=float(quantiser))
        pairs, bits = [], []
        for forgery in forgeries:
            pairs.append((degraded(forgery.real, how), degraded(forgery.fake, how)))
            bits.append(sent(forgery.real, how)[1])
        report["codec"][str(quantiser)] = {
            "auc": _area(pairs, session),
            "bits per pixel": round(float(np.median(bits)), 4),
        }
    return report


def _area(
    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]], session: Session
) -> list[float]:
    logit = np.array([[_logit(face, session) for face in pair] for pair in pairs])
    rng = np.random.default_rng(0)
    drawn = [logit[rng.integers(0, len(logit), len(logit))] for _ in range(_ROUNDS)]
    low, high = np.quantile([area_under_curve(d[:, 0], d[:, 1]) for d in drawn], [0.025, 0.975])
    return [round(float(v), 4) for v in (area_under_curve(logit[:, 0], logit[:, 1]), low, high)]


def _logit(face: NDArray[np.uint8], session: Session) -> float:
    values = face.transpose(2, 0, 1)[None].astype(np.float32) / 255
    return float(session.run({session.inputs[0]: values})[0][0])
