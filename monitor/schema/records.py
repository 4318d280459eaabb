"""What is written out about calls, field by field, wherever it goes: API, events, webhooks, files.

Times of a call are seconds since it began, times of day RFC 3339 in UTC. `llr` and `statistic` are
natural logarithms, positive for a fake. A number that is not finite is null. Fields may be added;
`ALERT_VERSION` grows when one changes its meaning.
"""

from typing import Literal, NotRequired

from pydantic import ConfigDict, with_config

# pydantic takes the standard library's only from Python 3.12 on.
from typing_extensions import TypedDict

from monitor.types import (
    AbstentionReason,
    Advice,
    AlarmState,
    AlertAction,
    AlertType,
    LostReason,
)

ALERT_VERSION = 1
described = with_config(ConfigDict(use_attribute_docstrings=True))
"""Has a record's docstrings stand in the API's description. Nothing is validated."""


@described
class SpanRecord(TypedDict):
    """A stretch of a call."""

    start: float | None
    end: float | None


@described
class LostRecord(SpanRecord):
    """A stretch without media, and why."""

    reason: LostReason


@described
class SecondsRecord(TypedDict):
    """Where a participant's seconds went."""

    scored: float | None
    abstained: float | None
    """Media was there and was not judged."""
    lost: float | None
    """Media never arrived."""
    abstained_by_reason: dict[str, float | None]
    lost_by_reason: dict[str, float | None]
    corrected: NotRequired[float | None]
    """What of `scored` and `abstained` lies in windows whose sound was stretched, cut or filled up
    to follow a clock; their `quality` says `corrected_seconds`. Not in earlier records.
    """


@described
class WindowRecord(SpanRecord):
    """What one detector made of one window: a score, or why there is none."""

    type: Literal["window"]
    detector: str
    participant: str
    score: float | None
    """Raw logit; null without one."""
    llr: NotRequired[float | None]
    """Calibrated log-likelihood ratio; only with a score, as are `model` and `calibration`."""
    model: NotRequired[str]
    calibration: NotRequired[str]
    abstained: NotRequired[AbstentionReason]
    """Why nothing was judged; only without a score."""
    lost: NotRequired[list[LostRecord]]
    quality: dict[str, float | None]
    """Measures of the media."""
    details: NotRequired[dict[str, float | None]]
    """What was measured, for people: never part of the decision."""


@described
class VerdictRecord(TypedDict):
    """Where a participant stands at one moment."""

    type: Literal["verdict"]
    participant: str
    time: float | None
    """Call seconds up to which media was judged."""
    state: AlarmState
    alert_type: AlertType
    """Which statistic this is about."""
    statistic: float | None
    """What is held against the thresholds; null before the first score."""
    llr: float | None
    """Of everything heard so far."""
    p_value: float | None
    """Share of genuine reference calls that ever went as far."""
    onset: float | None
    """Where the suspicious span begins; null while normal."""
    seconds: SecondsRecord
    thresholds: dict[str, float | None]
    """By tier: the statistic above which such a call alarms now."""


@described
class AllowanceRecord(TypedDict):
    """Why a participant may speak with a synthetic voice."""

    name: str
    reason: str
    until: str


@described
class GuidanceRecord(TypedDict):
    """How an alert is meant to be taken."""

    advice: Advice | None
    allowed: AllowanceRecord | None
    """Set when this participant may speak with a synthetic voice."""


@described
class AlertRecord(GuidanceRecord):
    """An alert message; several tell of one alert, from `raised` to `cleared`."""

    version: int
    id: str
    """The alert, the same in all of its messages."""
    idempotency_key: str
    """This message, the same however often it is delivered."""
    call: str
    participant: str
    type: AlertType
    tier: AlarmState
    """`review` or `alert`."""
    action: AlertAction
    sequence: int
    """Counts the alerts of one call, tier and participant from 1."""
    raised_at: str
    """Time of this message."""
    span: SpanRecord
    """What is suspicious."""
    certified: bool
    """Whether a certificate covers this tier's false-alarm rate."""
    verdict: VerdictRecord
    unmonitored_seconds: float | None
    evidence: list[WindowRecord]
    """The scores inside `span` that carry the alert."""
    models: dict[str, str]
    """Model version by detector."""
    calibration: str
    committed: NotRequired[bool]
    """False where the database did not take the alert before it was told; left out otherwise."""


@described
class CloudEventRecord(TypedDict):
    """An alert message in a CloudEvents 1.0 envelope, structured mode."""

    specversion: Literal["1.0"]
    id: str
    """The message's `idempotency_key`."""
    source: str
    type: str
    """`deepfake-monitor.alert.ACTION.vVERSION`"""
    subject: str
    """`CALL/PARTICIPANT`"""
    time: str
    datacontenttype: Literal["application/json"]
    data: AlertRecord


@described
class PauseRecord(TypedDict):
    """Why a participant is not monitored, and since which call second."""

    reason: str
    since: float


@described
class ClockRecord(TypedDict):
    """How the clock of a participant's sound runs against this machine's (docs/clock.md)."""

    skew_ppm: float | None
    """Parts in a million by which it is slow; null until some ten seconds in one piece tell."""
    stamp_factor: float
    """Seconds that its stamps count for each second of sound; 1 where they are right."""
    speed: float
    """Seconds of sound that come each second; other than 1 if the format is not what was agreed."""
    stretched_seconds: float
    """By how much sound was made longer or shorter in all to stay at the wall's time."""
    cut_seconds: float
    """Sound that was thrown away because there was no room for it."""
    filled_seconds: float
    """Silence put in where a pause shows in nothing but the arrival."""


@described
class ParticipantRecord(TypedDict):
    """One party of a call."""

    name: str
    audio: NotRequired[bool]
    """Whether there is such a track; this, `video` and `paused` are not kept of earlier runs."""
    video: NotRequired[bool]
    verdict: VerdictRecord | None
    """The latest."""
    paused: NotRequired[PauseRecord | None]
    clock: NotRequired[ClockRecord | None]
    """How a live sender's clock runs; null for recordings, and not kept of earlier runs."""
    allowed: AllowanceRecord | None


@described
class CallSummary(TypedDict):
    """A call in progress, or one that is over."""

    id: str
    label: str
    """What its sender calls it."""
    ingest: str
    """How its media comes in, such as `whip`, `rtsp`, `twilio` or `file`."""
    started_at: str | None
    """Null before the first media."""
    ended: str | None
    """Why it is over, in one word; null while it goes on."""
    ended_at: NotRequired[str | None]
    """Only of a call that this run of the service has forgotten, or never had."""
    detail: str
    """More about the end, for people."""
    media: bool
    """Whether any has arrived."""
    participants: list[ParticipantRecord]
