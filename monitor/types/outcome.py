"""What detectors make of windows."""

from dataclasses import dataclass, field
from enum import StrEnum

from monitor.types.media import Gap, Quality, Span


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
    FACE_TURNED = "face_turned"
    """The face looks too far aside."""
    OCCLUDED = "occluded"
    """Something covers what is to be measured, or light hides it."""
    BLURRED = "blurred"
    """The picture is too soft, or compressed too hard, for what is to be measured."""
    FEW_PICTURES = "few_pictures"
    """Too few pictures a second."""
    TOO_SHORT = "too_short"
    """Too few seconds so far in which anything could be measured."""
    NO_FEATURE = "no_feature"
    """What is to be measured is not there: no highlight in the eyes, no beard, no event."""
    NO_CONTRAST = "no_contrast"
    """In this call the measurement does not differ from that of deliberately broken input."""
    NOT_SAMPLED = "not_sampled"
    """Not looked at: what moves is looked at in bursts."""
    NOT_EVALUATED = "not_evaluated"
    """The machine was overloaded, and the governor left this out; see the level in `details`."""
    NO_MODEL = "no_model"
    """No model is installed for this detector."""
    FAULT = "fault"
    """The detector failed on this window; the log has the cause."""


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
    details: Quality = field(default_factory=dict)
    """What was measured, for people: never part of the decision."""

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
