"""Prometheus families about alerts, their delivery, the store, evidence and pauses."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class DeliveryFamilies:
    """What happens to an alert once it is decided."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.alerts = Counter(
            "monitor_alerts",
            "Alert messages that were committed: raised, updated, cleared",
            ["tier", "type", "action"],
            registry=r,
        )
        self.delivery_attempts = Counter(
            "monitor_delivery_attempts",
            "Deliveries: delivered, failed (tried again), dropped (given up: a dead letter)",
            ["sink", "outcome"],
            registry=r,
        )
        self.delivery_backlog = Gauge(
            "monitor_delivery_backlog_seconds",
            "Age of the oldest undelivered message, in running time of the service",
            ["sink"],
            registry=r,
        )
        self.delivery_dead = Gauge(
            "monitor_delivery_dead_letters",
            "Messages that were given up and are still kept",
            ["sink"],
            registry=r,
        )
        self.alerts_allowed = Counter(
            "monitor_alerts_allowed",
            "Those about allowed synthetic speech",
            ["tier"],
            registry=r,
        )
        self.alerts_waiting = Gauge(
            "monitor_alerts_uncommitted",
            "Alert messages that the store has not taken yet: nobody has been told of them",
            registry=r,
        )
        self.store_degraded = Gauge(
            "monitor_store_degraded",
            "1 from a write that failed to the next that did not",
            registry=r,
        )
        self.store_failures = Counter(
            "monitor_store_failures",
            "Failed writes: locked, full, unreachable, row (its own fault), other",
            ["reason"],
            registry=r,
        )
        self.store_dropped = Counter(
            "monitor_store_dropped",
            "What was not kept because the store was away for too long or refused it: alert, "
            "call, window",
            ["kind"],
            registry=r,
        )
        self.evidence_bundles = Counter(
            "monitor_evidence_bundles",
            "Evidence bundles: written, failed (tried again), dropped (given up); at the start, "
            "without a committed alert: reconciled (it is now), unmatched (it cannot be read)",
            ["outcome"],
            registry=r,
        )
        self.evidence_degraded = Gauge(
            "monitor_evidence_degraded", "1 while bundles cannot be written", registry=r
        )
        self.evidence_ring = Gauge(
            "monitor_evidence_ring_bytes", "Encoded media held in memory for evidence", registry=r
        )
        self.pauses = Counter(
            "monitor_pauses",
            "Pauses of participants: consent, payment, privacy, operator",
            ["reason"],
            registry=r,
        )
