"""Genuine calls under one fit → thresholds, and how often other genuine calls exceed them. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.decision.alarm import AlarmTiming
from monitor.decision.calibration import Calibration
from monitor.decision.certificate import conformal_threshold
from monitor.decision.thresholds import (
    BUDGETS,
    HORIZON_HOURS,
    model_threshold,
    simulated_threshold,
)
from monitor.training.calls.baselines import BASELINES, SCAN, STATISTICS, naive_threshold
from monitor.training.calls.callset import Kind, StagedCall
from monitor.training.calls.policy import Fitted, llrs
from monitor.training.calls.scored_calls import ScoredCall
from monitor.training.data.clips import Split
from monitor.types import Span

Mask = NDArray[np.bool_]
CALL_LEVEL, NAIVE = "call-level", "naive"
LONG = 20.0
"""Seconds of a call that counts as long among the held-out ones, most of which are shorter."""


@dataclass(frozen=True, slots=True)
class Level:
    """A false-alarm budget: per hour, or per call."""

    name: str
    per_hour: float | None = None
    per_call: float | None = None
    shortest: float = 0.0
    """Seconds that a genuine call must last to set or to test it."""

    def nominal(self, mean_hours: float) -> float:
        """False alarms allowed per call of this mean length."""
        return self.per_call if self.per_call is not None else (self.per_hour or 0.0) * mean_hours


LEVELS = (
    *(Level(name, per_hour=budget) for name, budget in BUDGETS.items()),
    Level("5 % of calls", per_call=0.05),
    Level("1 % of calls", per_call=0.01),
    Level("5 % of long calls", per_call=0.05, shortest=LONG),
)
PER_CALL = LEVELS[2]
COMPARED = LEVELS[-1]
"""The level at which statistics are compared: calls with a fake are long too, and a threshold
that short calls set would be exceeded in more of the long ones."""
FIRST_DECISION = 4
"""Windows of three seconds, a second apart, that the warm-up takes."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A statistic over one call, after each scored window."""

    times: NDArray[np.float64]
    """Call seconds at which the windows end."""
    values: NDArray[np.float64]
    """Minus infinity while warming up."""
    spans: tuple[Span, ...]
    """What carries each value."""

    @property
    def maximum(self) -> float:
        """Greatest value; minus infinity if it never warmed up."""
        return float(self.values.max(initial=-math.inf))

    def first_above(self, threshold: float, after: float = -math.inf) -> int | None:
        """Index of the first window ending after `after` whose value exceeds the threshold."""
        above = np.flatnonzero((self.values > threshold) & (self.times > after))
        return int(above[0]) if len(above) else None


def traces(call: ScoredCall, fitted: Fitted) -> dict[str, Trace]:
    """Run one call through the decision as the service would, with each statistic in it."""
    warm_up, scored = AlarmTiming().warm_up, 0.0
    steppers = {name: make(fitted.scan) for name, make in STATISTICS.items()}
    times: list[float] = []
    values: dict[str, list[float]] = {name: [] for name in STATISTICS}
    spans: dict[str, list[Span]] = {name: [] for name in STATISTICS}
    for window in call.windows:
        llr = fitted.calibration.llr(window.value, window.quality)
        if llr is None:
            continue
        scored += window.fresh_seconds
        times.append(window.span.end)
        for name, stepper in steppers.items():
            point = stepper.update(llr, window.span)
            values[name].append(point.statistic if scored >= warm_up else -math.inf)
            spans[name].append(point.span)
    at = np.array(times, np.float64)
    return {n: Trace(at, np.array(v, np.float64), tuple(spans[n])) for n, v in values.items()}


class Bench:
    """The genuine calls of the human-only split that warmed up, and what they make of a fit.

    Nothing here was fitted on them. Calls are pooled over strata.
    """

    def __init__(self, fitted: Fitted, calls: Sequence[StagedCall]) -> None:
        mine = [c for c in calls if c.kind is Kind.GENUINE and c.call.split == Split.HUMAN]
        found = [traces(c.call, fitted) for c in mine]
        warm = [i for i, t in enumerate(found) if math.isfinite(t[SCAN].maximum)]
        if not warm:
            raise ValueError("no genuine call has enough speech to be decided on")
        self.fitted = fitted
        self.calls = [mine[i] for i in warm]
        self.speakers = np.array([mine[i].speaker for i in warm])
        self.hours = np.array([mine[i].call.seconds / 3600 for i in warm])
        self.maxima = {
            name: np.array([found[i][name].maximum for i in warm]) for name in STATISTICS
        }
        self._windows = [llrs(mine[i].call, fitted.calibration) for i in warm]

    @cached_property
    def _simulated(self) -> dict[str, float]:
        bounds = [b.calibration for b in self.fitted.calibration.bins]
        widest = max(bounds, key=lambda c: c.high - c.low)
        cap = Calibration(1.0, 0.0, widest.low, widest.high)
        return {
            name: simulated_threshold(self.fitted.scan, cap, budget * HORIZON_HOURS)
            for name, budget in BUDGETS.items()
        }

    def counts(self, level: Level) -> Mask:
        """Which calls are long enough for the level."""
        found: Mask = self.hours * 3600 >= level.shortest
        return found

    def nominal(self, level: Level, setting: Mask) -> float:
        """False alarms per call that the level allows for calls like these."""
        return level.nominal(float(self.hours[setting & self.counts(level)].mean()))

    def threshold(self, level: Level, statistic: str, rule: str, setting: Mask) -> float:
        """The threshold that the setting calls give; infinity if too few for the level."""
        alpha = self.nominal(level, setting)
        setting = setting & self.counts(level)
        if rule == NAIVE:
            inside = [x for x, here in zip(self._windows, setting, strict=True) if here]
            return naive_threshold(statistic, np.concatenate(inside), FIRST_DECISION, alpha)
        maxima = self.maxima[statistic][setting].tolist()
        threshold = conformal_threshold(maxima, alpha)
        if math.isinf(threshold) and statistic == SCAN and level.per_hour is not None:
            simulated = self._simulated[level.name]
            threshold = model_threshold(simulated, maxima)
        return threshold


def contenders(level: Level) -> Iterator[tuple[str, str]]:
    """(statistic, rule) pairs that are compared at a level."""
    yield SCAN, CALL_LEVEL
    for statistic in BASELINES:
        yield statistic, NAIVE
        if level.per_call is not None:
            yield statistic, CALL_LEVEL
