"""What physical cues look at, and what they find."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.types.media import Quality, Span
from monitor.types.outcome import AbstentionReason

SOUND_BANDS = 24
"""Mel bands of the sound a cue may compare with the lips, 100 to 7,600 Hz."""
SOUND_HZ = 100.0
"""Frames of sound a second."""
MOUTH_SHAPE = (32, 48)
"""Rows and columns of the picture of a mouth."""
EYE_SHAPE = (24, 40)
"""Rows and columns of the picture of an eye."""


@dataclass(frozen=True, slots=True)
class CueWindow:
    """A long stretch of one followed face, with what was heard meanwhile.

    `times` may have holes: landmarks are found in bursts. The face stays the same one throughout:
    when another one takes over, a new window begins.
    """

    participant: str
    span: Span
    fresh: Span
    """The part of `span` that this window accounts for."""
    times: NDArray[np.float64]
    """Call seconds of each picture with landmarks, rising, shape (pictures,)."""
    points: NDArray[np.float32]
    """Shape (pictures, POINTS, 2), pixels of the picture (x, y), order of `landmarks`."""
    pose: NDArray[np.float32]
    """Yaw, pitch and roll in degrees, shape (pictures, 3); positive towards the picture's right,
    upwards, and clockwise as seen."""
    mouths: NDArray[np.uint8]
    """Luma of the upright mouth, shape (pictures, *MOUTH_SHAPE)."""
    eyes: NDArray[np.uint8]
    """Luma of the upright eyes, shape (pictures, 2, *EYE_SHAPE): the right one, then the left one
    mirrored, so that both have the nose on the same side."""
    skin: NDArray[np.float32]
    """Mean colour of forehead and both cheeks, shape (pictures, 3, 3), RGB, 0 to 255."""
    crop_times: NDArray[np.float64]
    """Call seconds of each crop, rising, shape (crops,)."""
    crops: NDArray[np.uint8]
    """Upright faces as in a FaceWindow, about one a second, shape (crops, 3, 224, 224), RGB."""
    crop_points: NDArray[np.float32]
    """Landmarks in pixels of each crop, shape (crops, POINTS, 2)."""
    crop_scale: NDArray[np.float32]
    """Pixels of the filmed picture for each pixel of a crop, shape (crops,); below 1 the crop
    shows the face larger than it was filmed."""
    sound: NDArray[np.float32]
    """Natural logarithm of the power in each mel band, shape (frames, SOUND_BANDS), SOUND_HZ
    frames a second from `span.start`; NaN where nothing was heard. No rows without audio."""
    quality: Quality = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cue measured in one window."""

    value: float | None
    """Raw evidence, higher = more likely fake; None when it could not be measured."""
    reason: AbstentionReason | None = None
    """Why it could not be measured; None exactly when there is a value."""
    details: Quality = field(default_factory=dict)
    """Named measurements for people; names end in their unit."""
