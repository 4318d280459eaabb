"""Media and the windows cut from it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hertz; every audio value after ingest has this rate."""

Waveform = NDArray[np.float32]
"""Mono audio, shape (samples,), float32 in [-1, 1], 16 kHz."""

Image = NDArray[np.uint8]
"""RGB picture, shape (height, width, 3), uint8."""


class ChannelChoice(StrEnum):
    """What of a recording's channels is heard."""

    MIX = "mix"
    """The mean of all that carry a voice, as one participant."""
    SPLIT = "split"
    """Each one, as a participant of its own."""
    LEFT = "left"
    """The first alone."""
    RIGHT = "right"
    """The second alone."""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of call time; the end is exclusive."""

    start: float
    """Seconds of call time."""
    end: float
    """Seconds of call time."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Tracks:
    """What one participant's source offers; known before the first frame.

    Neither, after there was something: the participant has left a call that goes on.
    """

    participant: str
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Decoded audio of one participant."""

    participant: str
    start: float
    """Call seconds of the first sample."""
    samples: Waveform
    corrected: float = 0.0
    """Seconds of it, or just before it, by which it was stretched, cut or filled up."""

    @property
    def end(self) -> float:
        """Call seconds just after the last sample."""
        return self.start + len(self.samples) / SAMPLE_RATE

    def since(self, time: float) -> "AudioFrame":
        """What of it lies after call second `time`; may be empty."""
        before = round((time - self.start) * SAMPLE_RATE) if time > self.start else 0
        return replace(self, start=time, samples=self.samples[before:]) if before else self


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One decoded and sampled picture of one participant."""

    participant: str
    time: float
    """Call seconds."""
    picture: Image | Callable[[], Image]
    """What gives the image may be smaller than it: pictures wait, and are not all looked at."""
    bits_per_pixel: float = math.nan
    """Encoded bits for each pixel of a picture, over the last seconds; NaN if unknown."""

    @property
    def image(self) -> Image:
        """The picture in RGB; safe to ask for in several threads."""
        return self.picture() if callable(self.picture) else self.picture


class LostReason(StrEnum):
    """Why seconds of a participant were never seen."""

    NETWORK = "network"
    """Packets that did not arrive."""
    RECONNECT = "reconnect"
    """The source was away and came back."""
    OVERLOAD = "overload"
    """This machine could not keep up and dropped the oldest media."""
    IDLE = "idle"
    """The source stayed connected but sent nothing."""
    PAUSED = "paused"
    """Monitoring was paused: by the far end, or by who may control the call."""
    DAMAGED = "damaged"
    """Media arrived and could not be decoded."""
    ABSENT = "absent"
    """The recording goes on and has nothing of this track here."""
    TRUNCATED = "truncated"
    """The recording ends before its container says it does."""
    FORMAT = "format"
    """What came has another sample rate, or other channels, than was agreed: no voice of this speed
    is scored."""
    INTERRUPTED = "interrupted"
    """The machine that monitored the call was lost."""
    FAULT = "fault"
    """A part of the monitor failed, and the call ended with it; the log has the cause."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which a participant's media did not reach the monitor."""

    participant: str
    span: Span
    reason: LostReason


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was done to sound so that it lies where it was spoken, in seconds."""

    stretched: float = 0.0
    """By how much it was stretched and squeezed."""
    cut: float = 0.0
    """How much was thrown away because there was no room for it."""
    filled: float = 0.0
    """How much silence was put in that nothing told but the arrival."""

    def and_also(self, other: "Corrected") -> "Corrected":
        """Return both together."""
        return Corrected(
            self.stretched + other.stretched, self.cut + other.cut, self.filled + other.filled
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """How the clock of a participant's sound runs, and what was done about it since the last."""

    participant: str
    skew: float | None
    """Share by which the sender's clock is slow against ours; None while unknown."""
    factor: float
    """Seconds that stamps count for each second of sound; 1 where they are right or irregular."""
    speed: float
    """Seconds of sound that come each second, where that is no matter of a clock; else 1."""
    corrected: Corrected


Quality = Mapping[str, float]
"""Named measurements of how well a window can be judged; names end in their unit."""
CORRECTED = "corrected_seconds"
"""Only in the quality of windows whose sound was stretched, cut or filled up."""


@dataclass(frozen=True, slots=True)
class AudioWindow:
    """A stretch of one participant's audio for a voice detector."""

    participant: str
    span: Span
    fresh: Span
    """The part of `span` that no earlier window covered: what this window accounts for."""
    samples: Waveform
    speech_seconds: float
    missing_seconds: float
    """Seconds of `span` that never arrived and hold zeros."""
    lost: tuple[Gap, ...] = ()
    """Gaps inside `fresh`."""
    quality: Quality = field(default_factory=dict)
    corrected_seconds: float = 0.0
    """Seconds of `span` that were stretched, cut or filled up to follow a clock."""


@dataclass(frozen=True, slots=True)
class FaceLook:
    """What a detector made of one upright crop."""

    logit: float
    """Higher means more likely forged."""
    heatmap: NDArray[np.float32]
    """Where a forgery's edge would be, 0 to 1, shape (rows, columns) over the crop."""


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """A stretch of one participant's face for a face detector."""

    participant: str
    span: Span
    logits: NDArray[np.float32]
    """What the detector made of each crop of the followed face, shape (crops,)."""
    others: tuple[NDArray[np.float32], ...]
    """The same for further faces in the picture, the most prominent first."""
    shown: bool
    """Whether the followed face was large enough for a crop at least once."""
    frames: int
    """Pictures looked at, with and without a face."""
    quality: Quality = field(default_factory=dict)
