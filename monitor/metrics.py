"""Every Prometheus family of the service, on a registry of its own.

Labels come from small closed sets; call ids appear only in exemplars.
"""

import math
from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from monitor.families import DeliveryFamilies
from monitor.types import Abstention, AlarmState, Alert, Outcome, Preview, Score, Verdict

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SCORES = (-12.0, -8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_LLRS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)

# The _created samples double the number of series and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics(DeliveryFamilies):
    """The families, and the sink that keeps those about calls."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        super().__init__(self.registry)
        r = self.registry
        self.calls = Gauge(
            "monitor_calls", "Calls in progress by alarm state", ["ingest", "state"], registry=r
        )
        self.calls_started = Counter("monitor_calls_started", "Calls begun", ["ingest"], registry=r)
        self.calls_ended = Counter(
            "monitor_calls_ended", "Calls ended, by reason", ["ingest", "reason"], registry=r
        )
        self.calls_refused = Counter(
            "monitor_calls_refused", "Calls not taken, by reason", ["ingest", "reason"], registry=r
        )
        self.seconds = Counter(
            "monitor_seconds",
            "Media seconds by outcome (scored, abstained, lost) and reason",
            ["detector", "outcome", "reason"],
            registry=r,
        )
        self.windows = Counter(
            "monitor_windows",
            "Windows by detector and outcome",
            ["detector", "outcome"],
            registry=r,
        )
        self.inference = Histogram(
            "monitor_inference_seconds",
            "Computation of one step",
            ["stage"],
            buckets=_FAST,
            registry=r,
        )
        self.wait = Histogram(
            "monitor_inference_wait_seconds",
            "Wait for an inference thread",
            ["stage"],
            buckets=_FAST,
            registry=r,
        )
        self.lag = Histogram(
            "monitor_lag_seconds",
            "Arrival of a live window's last media to its verdict",
            ["detector"],
            buckets=_FAST,
            registry=r,
        )
        self.dropped = Counter(
            "monitor_dropped",
            "Media thrown away because the monitor was late",
            ["stage"],
            registry=r,
        )
        self.score = Histogram(
            "monitor_score", "Raw logits", ["detector"], buckets=_SCORES, registry=r
        )
        self.llr = Histogram(
            "monitor_llr",
            "Calibrated log-likelihood ratios, natural log",
            ["detector"],
            buckets=_LLRS,
            registry=r,
        )
        self.speech = Histogram(
            "monitor_window_speech_seconds",
            "Speech in a voice window",
            buckets=(0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
            registry=r,
        )
        self.level = Histogram(
            "monitor_window_level_dbfs",
            "Level of a voice window",
            buckets=(-60.0, -50.0, -40.0, -30.0, -25.0, -20.0, -15.0, -10.0),
            registry=r,
        )
        self.bandwidth = Histogram(
            "monitor_window_bandwidth_hertz",
            "Bandwidth of a voice window",
            buckets=(1000.0, 2000.0, 3000.0, 3600.0, 4000.0, 5000.0, 6000.0, 7000.0),
            registry=r,
        )
        self.snr = Histogram(
            "monitor_window_snr_db",
            "Speech over noise in a voice window",
            buckets=(0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0),
            registry=r,
        )
        self.face_px = Histogram(
            "monitor_window_face_pixels",
            "Median face width in a face window",
            buckets=(40.0, 60.0, 80.0, 112.0, 160.0, 224.0, 320.0),
            registry=r,
        )
        self.face_sharpness = Histogram(
            "monitor_window_face_sharpness",
            "Median sharpness in a face window",
            buckets=(5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0),
            registry=r,
        )
        self.faces = Counter("monitor_faces", "Face tracks found and lost", ["event"], registry=r)
        self.model = Gauge(
            "monitor_model_info",
            "Models in use; always 1",
            ["detector", "model", "calibration"],
            registry=r,
        )
        self.governor = Gauge(
            "monitor_governor_level",
            "0 takes new calls, 1 refuses them: all slots are in use",
            registry=r,
        )
        self.certificate = Gauge(
            "monitor_certificate_info",
            "1 if the tier's false-alarm rate is certified, 0 if not",
            ["type", "tier", "certificate"],
            registry=r,
        )
        self.certificate_bound = Gauge(
            "monitor_certificate_false_alarms_per_hour",
            "One-sided 95 % upper limit of false alarms per hour of genuine speech",
            ["type", "tier"],
            registry=r,
        )
        self.certificate_hours = Gauge(
            "monitor_certificate_hours",
            "Hours of genuine speech behind the limit",
            ["type", "tier"],
            registry=r,
        )
        self.compared_windows = Counter(
            "monitor_challenger_windows",
            "Windows judged by both, by the state after it",
            ["state", "challenger_state"],
            registry=r,
        )
        self.drift_index = Gauge(
            "monitor_drift_stability_index",
            "Population stability index of recent windows against the policy's reference",
            ["type", "measure"],
            registry=r,
        )
        self.drift_martingale = Gauge(
            "monitor_drift_martingale_log10",
            "Evidence that calls are no longer like the policy's reference calls",
            ["type"],
            registry=r,
        )
        self.abstained_ratio = Gauge(
            "monitor_abstained_ratio",
            "Share of recent windows with something to judge that were not judged",
            ["detector"],
            registry=r,
        )
        self.canary_llr = Gauge(
            "monitor_canary_llr",
            "Log-likelihood ratio of the canary's whole recording, natural log",
            ["kind"],
            registry=r,
        )
        self.canary_ok = Gauge(
            "monitor_canary_state_ok",
            "1 if the genuine canary did not alarm or the fake one did",
            ["kind"],
            registry=r,
        )
        self.canary_age = Gauge(
            "monitor_canary_age_seconds",
            "Since the canary's last finished replay, or since the start",
            ["kind"],
            registry=r,
        )
        self._states: dict[str, tuple[str, AlarmState]] = {}

    # As the executor's observer.
    def stage(self, stage: str, waited: float, ran: float) -> None:
        """Record one step's seconds of waiting and computing."""
        self.wait.labels(stage).observe(waited)
        self.inference.labels(stage).observe(ran)

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
            exemplar = {"call": call}
            self.score.labels(outcome.detector).observe(outcome.value, exemplar)
            self.llr.labels(outcome.detector).observe(outcome.llr, exemplar)
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
