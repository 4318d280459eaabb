"""Every Prometheus family of the service, on a registry of its own.

Labels come from small closed sets; call ids appear only in exemplars.
"""

import math
from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
)

from monitor.metrics.calls import CallFamilies
from monitor.metrics.delivery import DeliveryFamilies
from monitor.metrics.judges import JudgeFamilies
from monitor.metrics.refusals import REFUSALS
from monitor.metrics.tasks import TASK_FAILURES
from monitor.types import (
    CORRECTED,
    LOOKS,
    Abstention,
    AlarmState,
    Alert,
    Outcome,
    Preview,
    Score,
    Verdict,
)

# The _created samples double the number of series and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_EXEMPLAR = 128
"""Characters of an exemplar's names and values."""


class Metrics(CallFamilies, JudgeFamilies, DeliveryFamilies):
    """The families, and the sink that keeps those about calls."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        CallFamilies.__init__(self, self.registry)
        JudgeFamilies.__init__(self, self.registry)
        DeliveryFamilies.__init__(self, self.registry)
        self.task_failures = TASK_FAILURES
        self.registry.register(self.task_failures)
        self.refusals = REFUSALS
        self.registry.register(self.refusals)
        self._states: dict[str, tuple[str, AlarmState]] = {}

    # As the executor's observer.
    def stage(self, stage: str, waited: float, ran: float, cpu: float) -> None:
        """Record one step's seconds of waiting, of computing, and of CPU time."""
        self.wait.labels(stage).observe(waited)
        self.inference.labels(stage).observe(ran)
        self.cpu.labels(stage).inc(cpu)

    # As a sink.
    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Count the call as warming."""
        self.calls_started.labels(ingest).inc()
        self._states[call] = (ingest, AlarmState.WARMING)
        self.calls.labels(ingest, AlarmState.WARMING).inc()

    def window(self, call: str, outcome: Outcome) -> None:
        """Count the window and its quality."""
        quality = outcome.quality
        if isinstance(outcome, Score):
            self.windows.labels(outcome.detector, "scored").inc()
            self.score.labels(outcome.detector).observe(outcome.value, exemplar(call))
            self.llr.labels(outcome.detector).observe(outcome.llr, exemplar(call))
            if LOOKS in quality:
                self.looks.labels(f"{quality[LOOKS]:.0f}").inc()
        elif isinstance(outcome, Abstention):
            self.windows.labels(outcome.detector, outcome.reason).inc()
        _observe(
            quality,
            speech_seconds=self.speech,
            level_dbfs=self.level,
            bandwidth_hz=self.bandwidth,
            snr_db=self.snr,
            face_px=self.face_px,
            sharpness=self.face_sharpness,
        )
        for gap in outcome.lost:
            self.seconds.labels(outcome.detector, "lost", gap.reason).inc(gap.span.duration)
        seconds = outcome.present_seconds
        if CORRECTED in quality:
            what = outcome.reason if isinstance(outcome, Abstention) else "scored"
            self.corrected_windows.labels(what).inc()
        if isinstance(outcome, Abstention):
            self.seconds.labels(outcome.detector, "abstained", outcome.reason).inc(seconds)
        else:
            self.seconds.labels(outcome.detector, "scored", "").inc(seconds)

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Count the track's begin or end."""
        self.faces.labels("found" if found else "lost").inc()

    def preview(self, call: str, preview: Preview) -> None:
        """Ignore it: what is looked at counts nothing."""

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Move the call to its state's gauge."""
        if call not in self._states:
            return
        ingest, before = self._states[call]
        if verdict.state is not before:
            self.calls.labels(ingest, before).dec()
            self.calls.labels(ingest, verdict.state).inc()
            self._states[call] = (ingest, verdict.state)

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Count windows after which champion and challenger stand differently."""
        self.compared_windows.labels(verdict.state, challenger.state).inc()

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Count the pause's begin."""
        if reason is not None:
            self.pauses.labels(reason).inc()

    def alert(self, alert: Alert) -> None:
        """Count the message."""
        self.alerts.labels(alert.tier, alert.type, alert.action).inc()
        if alert.guidance is not None and alert.guidance.allowance is not None:
            self.alerts_allowed.labels(alert.tier).inc()

    def call_ended(self, call: str, reason: str) -> None:
        """Take the call off the gauges."""
        ingest, state = self._states.pop(call)
        self.calls.labels(ingest, state).dec()
        self.calls_ended.labels(ingest, reason).inc()


def _observe(quality: Mapping[str, float], **families: Histogram) -> None:
    for name, family in families.items():
        value = quality.get(name)
        if value is not None and math.isfinite(value):
            family.observe(value)


def exemplar(call: str) -> dict[str, str]:
    """Name a call beside an observation; OpenMetrics has room for 128 characters in all."""
    return {"call": call[: _EXEMPLAR - len("call")]}
