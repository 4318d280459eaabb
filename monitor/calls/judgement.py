"""A detector's result for one window → the outcome that is recorded."""

from monitor.decision.policy import Policy
from monitor.types import Abstention, AbstentionReason, Gap, Outcome, Quality, Score, Span


def judged(
    result: float | AbstentionReason,
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
    reason = result if isinstance(result, AbstentionReason) else AbstentionReason.NO_MODEL
    if policy is not None and not isinstance(result, AbstentionReason):
        llr = policy.calibration.llr(result, quality)
        if llr is not None:
            return Score(
                detector=detector,
                participant=participant,
                span=span,
                fresh=fresh,
                lost=lost,
                quality=quality,
                value=result,
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
        reason=reason,
    )
