"""Prometheus families about what judges: models, certificates, challenger, drift, canary."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class JudgeFamilies:
    """What is known about the judges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.model = Gauge(
            "monitor_model_info",
            "Models in use; always 1",
            ["detector", "model", "calibration"],
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
            "Hours of genuine speech behind that limit",
            ["type", "tier"],
            registry=r,
        )
        self.compared_windows = Counter(
            "monitor_challenger_windows",
            "Windows judged by champion and challenger, by the state each then stood in",
            ["state", "challenger_state"],
            registry=r,
        )
        self.drift_index = Gauge(
            "monitor_drift_stability_index",
            "Population stability index of the latest 20 000 scored windows against the "
            "policy's reference; above 0.25 is commonly a shift; not a number before 20 calls "
            "and 200 windows",
            ["type", "measure"],
            registry=r,
        )
        self.drift_martingale = Gauge(
            "monitor_drift_martingale_log10",
            "Evidence that finished calls are no longer like the reference calls: while they "
            "are, it ever reaches 2 with a chance of at most 1 in 100; begins anew with the "
            "process",
            ["type"],
            registry=r,
        )
        self.abstained_ratio = Gauge(
            "monitor_abstained_ratio",
            "Share of the latest 5000 windows that were not judged, silence and absent models "
            "left out",
            ["detector"],
            registry=r,
        )
        self.canary_llr = Gauge(
            "monitor_canary_llr",
            "Log-likelihood ratio of the canary's whole recording, natural log; not a number "
            "if it could not be scored",
            ["kind"],
            registry=r,
        )
        self.canary_ok = Gauge(
            "monitor_canary_state_ok",
            "1 if the genuine canary did not alarm, or the fake one did; absent before the "
            "first replay",
            ["kind"],
            registry=r,
        )
        self.canary_age = Gauge(
            "monitor_canary_age_seconds",
            "Since the canary's last finished replay, or since the start",
            ["kind"],
            registry=r,
        )
