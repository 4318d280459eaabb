"""A detector's result for one window → the outcome that is recorded."""

import math

from monitor.decision import cues
from monitor.decision.policy import Policy
from monitor.types import (
    Abstention,
    AbstentionReason,
    Gap,
    Outcome,
    Quality,
    Reading,
    Score,
    Span,
)


def judged(
    result: float | AbstentionReason | Reading,
    *,
    detector: str,
    model: str,
    policy: Policy | None,
    participant: str,
    span: Span,
    fresh: Span,
    quality: Quality,
    lost: tuple[Gap, ...] = (),
) -> Outcome:
    """Calibrate a raw logit, or say why there is no score.

    Without a policy nothing is known about what a logit means, so it counts as no model.
    """
    reading = _reading(result)
    reason = reading.reason or AbstentionReason.NO_MODEL
    if policy is not None and reading.value is not None:
        llr = policy.calibration.llr(reading.value, quality)
        if llr is not None:
            return Score(
                detector=detector,
                participant=participant,
                span=span,
                fresh=fresh,
                lost=lost,
                quality=quality,
                details=reading.details,
                value=reading.value,
                llr=llr,
                model=model,
                calibration=policy.identity,
            )
        reason = AbstentionReason.NOT_MEASURABLE
    return Abstention(
        detector=detector,
        participant=participant,
        span=span,
        fresh=fresh,
        lost=lost,
        quality=quality,
        details=reading.details,
        reason=reason,
    )


def measured(
    reading: Reading,
    *,
    detector: str,
    model: str,
    participant: str,
    span: Span,
    fresh: Span,
    quality: Quality,
    lost: tuple[Gap, ...] = (),
) -> Outcome:
    """Say how far a cue's or listener's reading counts, or why there is none."""
    if reading.value is None or not math.isfinite(reading.value):
        return Abstention(
            detector=detector,
            participant=participant,
            span=span,
            fresh=fresh,
            lost=lost,
            quality=quality,
            details=reading.details,
            reason=reading.reason or AbstentionReason.FAULT,
        )
    return Score(
        detector=detector,
        participant=participant,
        span=span,
        fresh=fresh,
        lost=lost,
        quality=quality,
        details=reading.details,
        value=reading.value,
        llr=cues.scale(detector).llr(reading.value),
        model=model,
        calibration=cues.IDENTITY,
    )


def _reading(result: float | AbstentionReason | Reading) -> Reading:
    if isinstance(result, Reading):
        return result
    if isinstance(result, AbstentionReason):
        return Reading(None, result)
    return Reading(result)
