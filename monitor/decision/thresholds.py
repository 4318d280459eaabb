"""Genuine calls → thresholds that keep a false-alarm budget, and the test of them. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED, Tier, conformal_threshold
from monitor.decision.sequential import HORIZON, SPANS, ScanModel

BUDGETS: Mapping[str, float] = {"review": 0.6, "alert": 0.12}
"""False alarms per hour of genuine calls: one in twenty and one in a hundred five-minute calls."""
HORIZON_HOURS = HORIZON / 3600
FEWEST_IN_STRATUM = 100
"""Reference calls a stratum needs for thresholds of its own."""
_SIMULATED = 20_000
NO_SHARES: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class ReferenceCall:
    """One genuine call, or a stretch of one as long as the horizon, run through the pipeline."""

    call: str
    """Names the call: all stretches of a call stay on one side of every division."""
    stratum: str
    maximum: float
    """Greatest statistic after the warm-up; minus infinity if it never warmed up."""
    hours: float


def set_tier(
    name: str,
    budget: float,
    setting: Sequence[ReferenceCall],
    testing: Sequence[ReferenceCall],
    scan: ScanModel,
    cap: Calibration,
    shares: Mapping[str, float] = NO_SHARES,
) -> Tier:
    """Set one tier's thresholds on some genuine calls and test them on others.

    A threshold is conformal where the setting calls suffice for the budget. Otherwise the scan
    model's simulated calls set it, but never below what the real calls showed. `shares` says
    which part of the budget this alert type has in each stratum; unnamed ones have all of it.
    """
    chosen: dict[str, float] = {}
    basis = "conformal"
    for stratum in [POOLED, *sorted({c.stratum for c in setting})]:
        inside = [c for c in setting if stratum in (POOLED, c.stratum)]
        if stratum != POOLED and len(inside) < FEWEST_IN_STRATUM:
            continue
        maxima = [c.maximum for c in inside]
        part = min(shares.values(), default=1.0) if stratum == POOLED else shares.get(stratum, 1.0)
        hours = float(np.mean([c.hours for c in inside])) if inside else 0.0
        threshold = conformal_threshold(maxima, budget * part * hours)
        if not math.isfinite(threshold):
            basis = "model"
            alpha = budget * part * HORIZON_HOURS
            simulated = simulated_threshold(scan, cap, alpha)
            threshold = model_threshold(simulated, maxima)
        chosen[stratum] = round(threshold, 4)
    untested = Tier(name, budget, chosen, basis, 0, 0.0, 0)
    return replace(
        untested,
        calls=len({c.call for c in testing}),
        hours=round(sum(c.hours for c in testing), 4),
        alarms=sum(c.maximum > untested.threshold(c.stratum) for c in testing),
    )


def model_threshold(simulated: float, maxima: Sequence[float]) -> float:
    """The simulated calls' threshold, or the highest that a real call reached.

    Calls that are too few for the budget are granted less than one false alarm by it; and short
    calls alarm more often an hour than the model's long ones. So one that exceeds the model's
    threshold refutes it.
    """
    return max([simulated, *maxima])


@lru_cache(maxsize=16)
def simulated_threshold(scan: ScanModel, cap: Calibration, alpha: float) -> float:
    """Threshold for genuine calls as long as the horizon, if the scan model is right."""
    rng = np.random.default_rng(0)
    phi = scan.autocorrelation
    offset = rng.standard_normal(_SIMULATED) * math.sqrt(scan.between)
    noise = rng.standard_normal((_SIMULATED, HORIZON)) * math.sqrt(scan.within)
    for t in range(1, HORIZON):
        noise[:, t] = phi * noise[:, t - 1] + math.sqrt(1 - phi**2) * noise[:, t]
    x = np.clip(scan.genuine + offset[:, None] + noise, cap.low, cap.high)
    sums = np.concatenate([np.zeros((_SIMULATED, 1)), np.cumsum(x, axis=1)], axis=1)
    best = np.full(_SIMULATED, -math.inf)
    for t in range(4, HORIZON + 1):
        for size in {min(size, t) for size in (*SPANS, t)}:
            mean = (sums[:, t] - sums[:, t - size]) / size
            zero, one = scan.evidence(0.0, size), scan.evidence(1.0, size)
            best = np.maximum(best, zero + (one - zero) * mean)
    return float(np.quantile(best, 1 - alpha))
