"""A recorded call's LLRs → the statistic's path, as the live decision would have gone. Pure."""

import math
from collections.abc import Sequence

from monitor.decision.alarm import AlarmTiming
from monitor.decision.sequential import STATISTICS, ScanModel
from monitor.types import Span


def statistic_path(
    llrs: Sequence[float],
    spans: Sequence[Span],
    fresh_seconds: Sequence[float],
    scan: ScanModel,
    statistic: str = "scan",
    timing: AlarmTiming | None = None,
) -> list[float]:
    """Return the statistic after each scored window, minus infinity while warming up."""
    warm_up = (timing or AlarmTiming()).warm_up
    stepper = STATISTICS[statistic](scan)
    values, scored = [], 0.0
    for llr, span, fresh in zip(llrs, spans, fresh_seconds, strict=True):
        point = stepper.update(llr, span)
        scored += fresh
        values.append(point.statistic if scored >= warm_up else -math.inf)
    return values
