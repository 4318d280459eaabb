"""What is shown of a call while somebody looks at it: small pictures of its sound and faces."""

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.faces import FaceFrame
from monitor.types import (
    PREVIEW_BANDS,
    PREVIEW_FLOOR_DB,
    PREVIEW_HZ,
    PREVIEW_SIDE,
    SAMPLE_RATE,
    AudioPreview,
    AudioWindow,
    FaceLook,
    FacePreview,
)

_COLUMN = round(SAMPLE_RATE / PREVIEW_HZ)
"""Samples of a column: it is one transform of all of them."""
_HANN = np.hanning(_COLUMN).astype(np.float32)
_LENGTH = 2048
"""Of the transform, with zeros at the end: its bins divide evenly into bands."""
_FULL_SCALE = _LENGTH * float(np.sum(_HANN**2)) / 4
"""Power of a full-scale sine in all bins together (Parseval), one side of the spectrum."""


def heard(window: AudioWindow) -> AudioPreview | None:
    """Return the spectrogram of what is new in a window; None if that is less than a column."""
    new = window.samples[-max(1, round(window.fresh.duration * SAMPLE_RATE)) :]
    columns = len(new) // _COLUMN
    if columns == 0:
        return None
    pieces = new[: columns * _COLUMN].reshape(columns, _COLUMN) * _HANN
    spectrum = np.abs(np.fft.rfft(pieces, _LENGTH, axis=1)[:, : _LENGTH // 2]) ** 2
    power = spectrum.reshape(columns, PREVIEW_BANDS, -1).sum(axis=2) / _FULL_SCALE
    decibels = 10 * np.log10(power + 1e-12)
    steps = (decibels - PREVIEW_FLOOR_DB) * (255 / -PREVIEW_FLOOR_DB)
    start = window.span.end - len(new) / SAMPLE_RATE
    bands = np.clip(np.rint(steps), 0, 255).astype(np.uint8)
    return AudioPreview(window.participant, start, start + columns / PREVIEW_HZ, bands)


def seen(frame: FaceFrame, look: FaceLook | None) -> FacePreview | None:
    """Return the followed face as it was judged; None where there is none to show."""
    if frame.face is None or frame.face.crop is None:
        return None
    heatmap: NDArray[np.uint8] | None = None
    if look is not None:
        heatmap = np.clip(np.rint(look.heatmap * 255), 0, 255).astype(np.uint8)
    _, rows, columns = frame.face.crop.shape
    crop = frame.face.crop[:, :: rows // PREVIEW_SIDE, :: columns // PREVIEW_SIDE]
    crop = np.ascontiguousarray(crop[:, :PREVIEW_SIDE, :PREVIEW_SIDE])
    return FacePreview(frame.participant, frame.time, crop, heatmap, frame.face.quality)
