"""The values that flow through the monitor, in the order they flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hertz; every audio value after ingest has this rate."""

Waveform = NDArray[np.float32]
"""Mono audio, shape (samples,), float32 in [-1, 1], 16 kHz."""

Image = NDArray[np.uint8]
"""RGB picture, shape (height, width, 3), uint8."""


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
    """What one participant's source offers; known before the first frame."""

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

    @property
    def end(self) -> float:
        """Call seconds just after the last sample."""
        return self.start + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One decoded and sampled picture of one participant."""

    participant: str
    time: float
    """Call seconds."""
    image: Image


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
    """Monitoring was paused by the far end."""
    TRUNCATED = "truncated"
    """The recording ends before its container says it does."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which a participant's media did not reach the monitor."""

    participant: str
    span: Span
    reason: LostReason


class AbstentionReason(StrEnum):
    """Why a detector has no opinion about a window."""

    SILENCE = "silence"
    """No speech at all in the window."""
    TOO_LITTLE_SPEECH = "too_little_speech"
    """Less speech than the detector was trained to judge."""
    GAP = "gap"
    """Too much of the window never arrived."""
    NO_FACE = "no_face"
    """No face was found in the window."""
    FACE_TOO_SMALL = "face_too_small"
    """The face has too few pixels to judge."""
    NOT_MEASURABLE = "not_measurable"
    """Quality in which the detector was shown to be worse than saying nothing."""
    NO_MODEL = "no_model"
    """No model is installed for this detector."""
    FAULT = "fault"
    """The detector failed on this window; the log has the cause."""


Quality = Mapping[str, float]
"""Named measurements of how well a window can be judged; names end in their unit."""


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


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """A stretch of one participant's aligned face crops for a face detector."""

    participant: str
    span: Span
    crops: NDArray[np.uint8]
    """Shape (faces, 3, side, side), RGB; no rows when no face was found."""
    times: NDArray[np.float64]
    """Call seconds of each crop, shape (faces,)."""
    frames: int
    """Pictures looked at, with and without a face."""
    quality: Quality = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a detector made of one window: a Score or an Abstention."""

    detector: str
    participant: str
    span: Span
    fresh: Span
    """The part of `span` that this outcome accounts for."""
    lost: tuple[Gap, ...] = ()
    """Gaps inside `fresh`."""
    quality: Quality = field(default_factory=dict)

    @property
    def lost_seconds(self) -> float:
        """Seconds of `fresh` that never arrived."""
        return sum(gap.span.duration for gap in self.lost)

    @property
    def present_seconds(self) -> float:
        """Seconds of `fresh` that arrived."""
        return max(0.0, self.fresh.duration - self.lost_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Outcome):
    """A detector's raw output for one window; higher means more likely fake."""

    value: float
    """Raw logit."""
    llr: float
    """Calibrated log-likelihood ratio, natural log, positive means fake."""
    model: str
    """First hexadecimal digits of the model file's SHA-256."""
    calibration: str
    """Identity of the calibration that produced `llr`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention(Outcome):
    """A window that could not be judged, and why."""

    reason: AbstentionReason


class AlarmState(StrEnum):
    """Where a participant stands."""

    WARMING = "warming"
    """Too little scored speech to decide anything."""
    NORMAL = "normal"
    REVIEW = "review"
    ALERT = "alert"

    @property
    def gravity(self) -> int:
        """From 0, warming, to 3, alert."""
        return list(AlarmState).index(self)


class AlertType(StrEnum):
    """Which statistic raised an alert."""

    VOICE = "voice"
    FACE = "face"
    SYNC = "sync"
    FUSED = "fused"

    @property
    def order(self) -> int:
        """Which type speaks first when several are in the same state."""
        return list(AlertType).index(self)


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the seconds of one participant's audio (or video, without audio) went."""

    scored: float
    abstained: Mapping[str, float]
    """By AbstentionReason."""
    lost: Mapping[str, float]
    """By LostReason."""

    @property
    def unmonitored(self) -> float:
        """Seconds without a score."""
        return sum(self.abstained.values()) + sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one participant at one moment of the call."""

    participant: str
    time: float
    """Call seconds up to which media was judged."""
    state: AlarmState
    type: AlertType
    statistic: float
    """The scan statistic now, natural log; minus infinity before the first score."""
    llr: float | None
    """Log-likelihood ratio of everything heard so far; None before the first score."""
    p_value: float | None
    """Share of genuine calls whose maximum was at least this call's; None without a reference."""
    onset: float | None
    """Call seconds at which the suspicious span starts; None while normal."""
    seconds: Seconds


class AlertAction(StrEnum):
    """What an alert message says about its alert."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alert:
    """A change of alarm state that people and machines must hear about."""

    call: str
    participant: str
    type: AlertType
    tier: AlarmState
    """REVIEW or ALERT."""
    action: AlertAction
    sequence: int
    """Counts the alerts of one call, tier and participant from 1; RAISED and CLEARED share it."""
    raised_at: str
    """Wall-clock time of this message, RFC 3339."""
    span: Span
    """The suspicious span, call seconds."""
    certified: bool
    """Whether a certificate covers this tier's false-alarm rate."""
    verdict: Verdict
    evidence: tuple[Score, ...]
    """The scores inside `span` that carry the alert."""
    models: Mapping[str, str]
    """Model version by detector."""
    calibration: str

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of the same message."""
        return (
            f"{self.call}:{self.participant}:{self.type}:{self.tier}:{self.sequence}:{self.action}"
        )
