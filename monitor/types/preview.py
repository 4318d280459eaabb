"""What a person may look at while a call goes on: never stored, never part of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PREVIEW_BANDS = 64
"""Bands of a spectrogram's column, of equal width from 0 to 8 kHz."""
PREVIEW_HZ = 10.0
"""Columns a second."""
PREVIEW_FLOOR_DB = -96.0
"""Decibels below full scale that 0 stands for; 255 stands for 0 dB."""
PREVIEW_SIDE = 112
"""Pixels of a face's rows and columns."""


@dataclass(frozen=True, slots=True)
class AudioPreview:
    """A stretch of one participant's spectrogram."""

    participant: str
    start: float
    """Call seconds of the first column's begin."""
    end: float
    """Call seconds of the last column's end."""
    bands: NDArray[np.uint8]
    """Shape (columns, PREVIEW_BANDS), lowest band first: power in dB between PREVIEW_FLOOR_DB and
    full scale, in 255 equal steps."""


@dataclass(frozen=True, slots=True)
class FacePreview:
    """The followed face in one picture, and what was made of it."""

    participant: str
    time: float
    """Call seconds."""
    crop: NDArray[np.uint8]
    """Shape (3, PREVIEW_SIDE, PREVIEW_SIDE), RGB, upright."""
    heatmap: NDArray[np.uint8] | None
    """Where a forgery's edge would be, 0 to 255, shape (rows, columns) over the crop; None when
    nothing judged this picture."""
    cues: Mapping[str, float] = field(default_factory=dict)
    """Named measurements in this picture, for people; names end in their unit."""


Preview = AudioPreview | FacePreview
