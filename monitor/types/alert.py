"""What is decided about a participant, and what people and machines must hear of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote

from monitor.types.media import Span
from monitor.types.outcome import Score


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
    corrected: float = 0.0
    """What of `scored` and `abstained` lies in windows that were corrected to follow a clock."""

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
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By tier: the statistic above which a call of this kind alarms now."""


class AlertAction(StrEnum):
    """What an alert message says about its alert."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Advice(StrEnum):
    """What whoever is on the call is advised to do; nothing is ever done to the call itself."""

    CONTINUE = "continue"
    STEP_UP = "step_up"
    """Verify the participant by another channel."""
    HUMAN_REVIEW = "human_review"
    """Bring in somebody who decides."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Synthetic speech that is expected, such as an announcement or an assistive voice."""

    name: str
    reason: str
    until: str
    """Wall-clock time after which it no longer holds, RFC 3339."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """How an alert is meant to be taken."""

    advice: Advice
    allowance: Allowance | None = None
    """Set when this participant may speak with a synthetic voice."""


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
    guidance: Guidance | None = None
    """Added when the alert is accepted for delivery."""

    @property
    def id(self) -> str:
        """Names the alert in URLs: the same for all of its messages."""
        parts = (self.call, self.participant, self.type, self.tier, str(self.sequence))
        return sha256("\0".join(parts).encode()).hexdigest()[:24]

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of the same message."""
        # Quoted, because it travels in an HTTP header and colons divide it.
        who = f"{self.call}:{quote(self.participant, safe='')}"
        return f"{who}:{self.type}:{self.tier}:{self.sequence}:{self.action}"
