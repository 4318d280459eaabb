"""Values → JSON-ready records: the same for the API, event stream, webhooks and command line."""

import math

from monitor.schema.records import (
    ALERT_VERSION,
    AlertRecord,
    AllowanceRecord,
    ClockRecord,
    CloudEventRecord,
    GuidanceRecord,
    SecondsRecord,
    SpanRecord,
    VerdictRecord,
    WindowRecord,
)
from monitor.types import (
    Abstention,
    Alert,
    Allowance,
    Guidance,
    Outcome,
    Score,
    Seconds,
    Span,
    Timing,
    Verdict,
)


def _number(value: float | None, digits: int = 4) -> float | None:
    """JSON has no infinities; rounding keeps lines short and equal runs equal."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def span(value: Span) -> SpanRecord:
    """A span in call seconds."""
    return {"start": _number(value.start, 3), "end": _number(value.end, 3)}


def seconds(value: Seconds) -> SecondsRecord:
    """Where the seconds went, with totals."""
    return {
        "scored": _number(value.scored, 3),
        "abstained": _number(sum(value.abstained.values()), 3),
        "lost": _number(sum(value.lost.values()), 3),
        "abstained_by_reason": {k: _number(v, 3) for k, v in sorted(value.abstained.items())},
        "lost_by_reason": {k: _number(v, 3) for k, v in sorted(value.lost.items())},
        "corrected": _number(value.corrected, 3),
    }


def window(outcome: Outcome) -> WindowRecord:
    """One detector's outcome for one window."""
    record: WindowRecord = {
        "type": "window",
        "detector": outcome.detector,
        "participant": outcome.participant,
        "start": _number(outcome.span.start, 3),
        "end": _number(outcome.span.end, 3),
        "score": None,
        "quality": {k: _number(v, 3) for k, v in outcome.quality.items()},
    }
    if isinstance(outcome, Score):
        record["score"] = _number(outcome.value)
        record["llr"] = _number(outcome.llr)
        record["model"] = outcome.model
        record["calibration"] = outcome.calibration
    elif isinstance(outcome, Abstention):
        record["abstained"] = outcome.reason
    if outcome.lost:
        record["lost"] = [{**span(g.span), "reason": g.reason} for g in outcome.lost]
    if outcome.details:
        record["details"] = {k: _number(v, 3) for k, v in outcome.details.items()}
    return record


def verdict(value: Verdict) -> VerdictRecord:
    """A participant's standing."""
    return {
        "type": "verdict",
        "participant": value.participant,
        "time": _number(value.time, 3),
        "state": value.state,
        "alert_type": value.type,
        "statistic": _number(value.statistic),
        "llr": _number(value.llr),
        "p_value": _number(value.p_value, 6),
        "onset": _number(value.onset, 3),
        "seconds": seconds(value.seconds),
        "thresholds": {k: _number(v) for k, v in value.thresholds.items()},
    }


def alert(value: Alert, committed: bool = True) -> AlertRecord:
    """An alert message; its `version` grows when a field changes its meaning."""
    told = guidance(value.guidance)
    record: AlertRecord = {
        "version": ALERT_VERSION,
        "id": value.id,
        "idempotency_key": value.idempotency_key,
        "call": value.call,
        "participant": value.participant,
        "type": value.type,
        "tier": value.tier,
        "action": value.action,
        "sequence": value.sequence,
        "raised_at": value.raised_at,
        "span": span(value.span),
        "certified": value.certified,
        "advice": told["advice"],
        "allowed": told["allowed"],
        "verdict": verdict(value.verdict),
        "unmonitored_seconds": _number(value.verdict.seconds.unmonitored, 3),
        "evidence": [window(score) for score in value.evidence],
        "models": dict(value.models),
        "calibration": value.calibration,
    }
    if not committed:
        record["committed"] = False
    return record


def guidance(value: Guidance | None) -> GuidanceRecord:
    """What an alert advises, and whether the synthetic speech is allowed."""
    allowed = value.allowance if value is not None else None
    return {
        "advice": value.advice if value is not None else None,
        "allowed": allowance(allowed) if allowed is not None else None,
    }


def clock(value: Timing) -> ClockRecord:
    """How a participant's clock runs, with the seconds corrected in all."""
    return {
        "skew_ppm": None if value.skew is None else round(value.skew * 1e6, 1),
        "stamp_factor": value.factor,
        "speed": round(value.speed, 3),
        "stretched_seconds": round(value.corrected.stretched, 3),
        "cut_seconds": round(value.corrected.cut, 3),
        "filled_seconds": round(value.corrected.filled, 3),
    }


def allowance(value: Allowance) -> AllowanceRecord:
    """Why synthetic speech is allowed, and until when."""
    return {"name": value.name, "reason": value.reason, "until": value.until}


def cloud_event(record: AlertRecord, source: str) -> CloudEventRecord:
    """An alert's record in a CloudEvents 1.0 envelope, structured mode."""
    return {
        "specversion": "1.0",
        "id": record["idempotency_key"],
        "source": source,
        "type": f"deepfake-monitor.alert.{record['action']}.v{ALERT_VERSION}",
        "subject": f"{record['call']}/{record['participant']}",
        "time": record["raised_at"],
        "datacontenttype": "application/json",
        "data": record,
    }
