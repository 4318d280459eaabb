"""Recorded genuine calls → the policy that a service runs with. Pure.

The calls that set the thresholds and those that test them are disjoint: by call, by a hash of
its name, so that adding a call never moves another.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED
from monitor.decision.drift import HISTOGRAM_EDGES, Histogram
from monitor.decision.paths import statistic_path
from monitor.decision.policy import dumps
from monitor.decision.quality_bins import BinnedCalibration
from monitor.decision.sequential import HORIZON, ScanModel
from monitor.decision.strata import AUDIO, budget_share, stratum_of
from monitor.decision.thresholds import (
    BUDGETS,
    FEWEST_IN_STRATUM,
    ReferenceCall,
    set_tier,
)
from monitor.types import Quality, Span

SETTING_SHARE = 0.6
"""Of the genuine calls: the part that sets thresholds; the rest tests them."""


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window of a recorded call that the detector scored."""

    span: Span
    value: float
    """Raw logit."""
    quality: Quality
    fresh_seconds: float
    first: float | None = None
    """Logit of the first look alone, where `value` may rest on two."""


@dataclass(frozen=True, slots=True)
class GenuineCall:
    """One genuine call run through the pipeline."""

    name: str
    """The same for all recordings of one person: they stay on one side of the division."""
    seconds: float
    """Length of the call."""
    windows: Sequence[ScoredWindow]


def sets_thresholds(name: str) -> bool:
    """Whether a call sets thresholds; otherwise it tests them."""
    digest = hashlib.sha256(f"threshold/{name}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32 < SETTING_SHARE


def reference_calls(
    calls: Sequence[GenuineCall],
    calibration: BinnedCalibration,
    scan: ScanModel,
    statistic: str = "scan",
    modalities: frozenset[str] = frozenset({AUDIO}),
) -> list[ReferenceCall]:
    """Run calls through the decision; a call longer than the horizon gives several stretches."""
    found = []
    for call in calls:
        scored = [
            (w, llr)
            for w in call.windows
            if (llr := calibration.llr(w.value, w.quality)) is not None
        ]
        stretches = [scored[i : i + HORIZON] for i in range(0, len(scored), HORIZON)] or [[]]
        for stretch in stretches:
            path = statistic_path(
                [llr for _, llr in stretch],
                [w.span for w, _ in stretch],
                [w.fresh_seconds for w, _ in stretch],
                scan,
                statistic,
            )
            found.append(
                ReferenceCall(
                    call=call.name,
                    stratum=stratum_of([w.quality for w, _ in stretch], modalities),
                    maximum=max(path, default=-math.inf),
                    hours=call.seconds / len(stretches) / 3600,
                )
            )
    return found


def write_policy(
    calls: Sequence[GenuineCall],
    calibration: BinnedCalibration,
    scan: ScanModel,
    *,
    model: str,
    date: str,
    source: str,
    statistic: str = "scan",
    budgets: Mapping[str, float] = BUDGETS,
) -> str:
    """Set and test the voice's thresholds on genuine calls and return the policy as JSON.

    Raises ValueError if there is no call that ever warmed up.
    """
    reference = reference_calls(calls, calibration, scan, statistic)
    warm = [c for c in reference if math.isfinite(c.maximum)]
    if not warm:
        raise ValueError("no genuine call has enough speech to be decided on")
    setting = [c for c in warm if sets_thresholds(c.call)]
    testing = [c for c in warm if not sets_thresholds(c.call)]
    cap = max((b.calibration for b in calibration.bins), key=lambda c: c.high - c.low)
    tiers = [
        set_tier(
            name,
            budget,
            setting,
            testing,
            scan,
            Calibration(1.0, 0.0, cap.low, cap.high),
            {s: budget_share("voice", s) for s in {c.stratum for c in warm}},
        )
        for name, budget in budgets.items()
    ]
    maxima = {POOLED: [round(c.maximum, 4) for c in warm]}
    for name in sorted({c.stratum for c in warm}):
        inside = [round(c.maximum, 4) for c in warm if c.stratum == name]
        if len(inside) >= FEWEST_IN_STRATUM:
            maxima[name] = inside
    windows = [
        w for c in calls for w in c.windows if calibration.llr(w.value, w.quality) is not None
    ]
    values = {m: [w.quality[m] for w in windows if m in w.quality] for m in HISTOGRAM_EDGES}
    values["score"] = [w.value for w in windows]
    reference_histograms = {
        m: Histogram.of(edges, values[m]) for m, edges in HISTOGRAM_EDGES.items()
    }
    return dumps(
        calibration,
        scan,
        statistic,
        tiers,
        maxima,
        reference_histograms,
        model=model,
        date=date,
        source=source,
    )
