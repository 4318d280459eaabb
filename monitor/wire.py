"""Values → JSON-ready records: the same for the API, event stream, webhooks and command line."""

import math
from collections.abc import Mapping
from typing import Any

from monitor.types import (
    Abstention,
    Alert,
    Allowance,
    Guidance,
    Outcome,
    Score,
    Seconds,
    Span,
    Verdict,
)

ALERT_VERSION = 1
Record = dict[str, Any]


def _number(value: float | None, digits: int = 4) -> float | None:
    """JSON has no infinities; rounding keeps lines short and equal runs equal."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def span(value: Span) -> Record:
    """A span in call seconds."""
    return {"start": _number(value.start, 3), "end": _number(value.end, 3)}


def seconds(value: Seconds) -> Record:
    """Where the seconds went, with totals."""
    return {
        "scored": _number(value.scored, 3),
        "abstained": _number(sum(value.abstained.values()), 3),
        "lost": _number(sum(value.lost.values()), 3),
        "abstained_by_reason": {k: _number(v, 3) for k, v in sorted(value.abstained.items())},
        "lost_by_reason": {k: _number(v, 3) for k, v in sorted(value.lost.items())},
    }


def window(outcome: Outcome) -> Record:
    """One detector's outcome for one window."""
    record: Record = {
        "type": "window",
        "detector": outcome.detector,
        "participant": outcome.participant,
        **span(outcome.span),
        "score": None,
    }
    if isinstance(outcome, Score):
        record |= {
            "score": _number(outcome.value),
            "llr": _number(outcome.llr),
            "model": outcome.model,
            "calibration": outcome.calibration,
        }
    elif isinstance(outcome, Abstention):
        record |= {"abstained": str(outcome.reason)}
    if outcome.lost:
        record["lost"] = [{**span(g.span), "reason": str(g.reason)} for g in outcome.lost]
    record["quality"] = {k: _number(v, 3) for k, v in outcome.quality.items()}
    if outcome.details:
        record["details"] = {k: _number(v, 3) for k, v in outcome.details.items()}
    return record


def verdict(value: Verdict) -> Record:
    """A participant's standing."""
    return {
        "type": "verdict",
        "participant": value.participant,
        "time": _number(value.time, 3),
        "state": str(value.state),
        "alert_type": str(value.type),
        "statistic": _number(value.statistic),
        "llr": _number(value.llr),
        "p_value": _number(value.p_value, 6),
        "onset": _number(value.onset, 3),
        "seconds": seconds(value.seconds),
        "thresholds": {k: _number(v) for k, v in value.thresholds.items()},
    }


def alert(value: Alert) -> Record:
    """An alert message; its `version` grows when a field changes its meaning."""
    return {
        "version": ALERT_VERSION,
        "id": value.id,
        "idempotency_key": value.idempotency_key,
        "call": value.call,
        "participant": value.participant,
        "type": str(value.type),
        "tier": str(value.tier),
        "action": str(value.action),
        "sequence": value.sequence,
        "raised_at": value.raised_at,
        "span": span(value.span),
        "certified": value.certified,
        **guidance(value.guidance),
        "verdict": verdict(value.verdict),
        "unmonitored_seconds": _number(value.verdict.seconds.unmonitored, 3),
        "evidence": [window(score) for score in value.evidence],
        "models": dict(value.models),
        "calibration": value.calibration,
    }


def guidance(value: Guidance | None) -> Record:
    """What an alert advises, and whether the synthetic speech is allowed."""
    allowed = value.allowance if value is not None else None
    return {
        "advice": str(value.advice) if value is not None else None,
        "allowed": allowance(allowed) if allowed is not None else None,
    }


def allowance(value: Allowance) -> Record:
    """Why synthetic speech is allowed, and until when."""
    return {"name": value.name, "reason": value.reason, "until": value.until}


def cloud_event(record: Mapping[str, Any], source: str) -> Record:
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
