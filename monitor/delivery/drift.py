"""Watches whether calls still look like those the policy was made with, and how much is judged.

In memory: a restart begins anew.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from typing_extensions import TypedDict

from monitor.delivery.logged import NullSink
from monitor.metrics.sink import Metrics
from monitor.schema.records import described
from monitor.types import (
    Abstention,
    AbstentionReason,
    AlarmState,
    AlertType,
    Outcome,
    Score,
    Verdict,
)

FEWEST_CALLS = 20
"""Calls before a stability index is shown: that of a few says who called, not what drifted."""
RECENT = 5000
"""Windows of one detector that count as recent for its share of abstentions."""
_EXPECTED = ("voice", "face")
"""Detectors that should judge most of what they get; physical cues abstain most of the time."""
_NOTHING_TO_JUDGE = (AbstentionReason.SILENCE, AbstentionReason.NO_MODEL)


@described
class TypeDriftRecord(TypedDict):
    """How far calls are from those that one alert type's policy was made with."""

    calls: int
    """Finished ones that were held against it."""
    martingale_log10: float
    """While calls are like the reference, this ever reaches 2 with a chance of at most 1 in 100."""
    stability_index: dict[str, float | None]
    """By measure; above 0.25 is commonly a shift. Null while too little was seen."""


@described
class AbstainedRecord(TypedDict):
    """How much of what was to be judged was not."""

    windows: int
    ratio: float


@described
class DriftRecord(TypedDict):
    """Whether calls still look like the reference."""

    types: dict[str, TypeDriftRecord]
    """By alert type."""
    abstained: dict[str, AbstainedRecord]
    """By detector."""


class Histograms(Protocol):
    """Recent values of the watched measures against the reference."""

    @property
    def measures(self) -> list[str]:
        """What is watched."""

    def add(self, measure: str, value: float) -> None:
        """Take one window's value."""

    def index(self, measure: str) -> float | None:
        """Stability index, or None while too few windows were seen."""


class CallTest(Protocol):
    """Whether calls could have come from where the reference calls came from."""

    calls: int

    @property
    def log10(self) -> float:
        """Evidence that they could not."""

    def add(self, p_value: float, tie: float) -> None:
        """Take one finished call's p-value; `tie` is uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What one alert type's policy is held against."""

    detector: str | None
    """Whose windows the histograms are of; None for evidence of several."""
    histograms: Histograms
    test: CallTest


class Drift(NullSink):
    """Feeds windows and finished calls to each alert type's watch."""

    def __init__(
        self,
        watches: Mapping[AlertType, Watch],
        metrics: Metrics,
        tie: Callable[[], float] = random.random,
    ) -> None:
        self._watches = watches
        self._metrics = metrics
        self._tie = tie
        self._last: dict[str, dict[str, Verdict]] = {}
        self._abstained: dict[str, deque[bool]] = {}
        for type_, watch in watches.items():
            metrics.drift_martingale.labels(type_).set_function(partial(_log10, watch.test))
            for measure in watch.histograms.measures:
                metrics.drift_index.labels(type_, measure).set_function(
                    partial(self._shown, watch, measure)
                )

    def window(self, call: str, outcome: Outcome) -> None:
        """Take a scored window's score and quality, and count what could not be judged."""
        self._count(outcome)
        if not isinstance(outcome, Score):
            return
        for watch in self._watches.values():
            if watch.detector != outcome.detector:
                continue
            watch.histograms.add("score", outcome.value)
            for measure, value in outcome.quality.items():
                if math.isfinite(value):
                    watch.histograms.add(measure, value)

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Remember the latest standing."""
        self._last.setdefault(call, {})[verdict.participant] = verdict

    def call_ended(self, call: str, reason: str) -> None:
        """Take each participant's last p-value; the reference has only calls that warmed up."""
        for verdict in self._last.pop(call, {}).values():
            watch = self._watches.get(verdict.type)
            if watch is None or verdict.p_value is None or verdict.state is AlarmState.WARMING:
                continue
            watch.test.add(verdict.p_value, self._tie())

    def record(self) -> DriftRecord:
        """What is known now, JSON-ready."""
        return {
            "types": {
                str(type_): {
                    "calls": watch.test.calls,
                    "martingale_log10": round(watch.test.log10, 4),
                    "stability_index": {
                        m: None if (index := self._index(watch, m)) is None else round(index, 4)
                        for m in watch.histograms.measures
                    },
                }
                for type_, watch in self._watches.items()
            },
            "abstained": {
                detector: {"windows": len(seen), "ratio": round(sum(seen) / len(seen), 4)}
                for detector, seen in self._abstained.items()
            },
        }

    def _count(self, outcome: Outcome) -> None:
        if outcome.detector not in _EXPECTED:
            return
        abstained = isinstance(outcome, Abstention)
        if isinstance(outcome, Abstention) and outcome.reason in _NOTHING_TO_JUDGE:
            return
        if outcome.detector not in self._abstained:
            seen: deque[bool] = deque(maxlen=RECENT)
            self._abstained[outcome.detector] = seen
            self._metrics.abstained_ratio.labels(outcome.detector).set_function(
                lambda: sum(seen) / len(seen)
            )
        self._abstained[outcome.detector].append(abstained)

    def _index(self, watch: Watch, measure: str) -> float | None:
        enough = watch.test.calls >= FEWEST_CALLS
        return watch.histograms.index(measure) if enough else None

    def _shown(self, watch: Watch, measure: str) -> float:
        index = self._index(watch, measure)
        return math.nan if index is None else index


def _log10(test: CallTest) -> float:
    return test.log10
