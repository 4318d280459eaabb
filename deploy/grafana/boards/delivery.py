"""Was everybody told, and is everything kept that should be?"""

from deploy.grafana.boards.panel import (
    NO_ALERT,
    NO_DESTINATION,
    NODE,
    Board,
    events,
    lines,
    number,
)

DELIVERY = Board(
    "deepfake-delivery",
    "Deepfake monitor: delivery and evidence",
    "Was everybody told, and is everything kept that should be?",
    (
        (
            "Now",
            (
                number(
                    "Nobody told yet",
                    f"sum(monitor_alerts_uncommitted{{{NODE}}})",
                    about="Alerts that the store has not taken.",
                    red=1,
                ),
                number(
                    "Oldest undelivered",
                    f"max(monitor_delivery_backlog_seconds{{{NODE}}})",
                    "s",
                    empty=NO_DESTINATION,
                    red=300,
                ),
                number(
                    "Dead letters",
                    f"sum(monitor_delivery_dead_letters{{{NODE}}})",
                    empty=NO_DESTINATION,
                    red=1,
                ),
                number("Stores degraded", f"sum(monitor_store_degraded{{{NODE}}})", red=1),
                number("Evidence degraded", f"sum(monitor_evidence_degraded{{{NODE}}})", red=1),
                number(
                    "Evidence in memory", f"sum(monitor_evidence_ring_bytes{{{NODE}}})", "bytes"
                ),
            ),
        ),
        (
            "Alerts and their delivery",
            (
                events(
                    "Alert messages", "monitor_alerts_total", "tier, type, action", empty=NO_ALERT
                ),
                events(
                    "About allowed synthetic speech",
                    "monitor_alerts_allowed_total",
                    "tier",
                    empty="until there was one",
                ),
                events(
                    "Delivery attempts",
                    "monitor_delivery_attempts_total",
                    "sink, outcome",
                    empty="until an alert was sent",
                ),
                lines(
                    "Age of the oldest undelivered message",
                    f"max by (sink) (monitor_delivery_backlog_seconds{{{NODE}}})",
                    "{{sink}}",
                    "s",
                    empty=NO_DESTINATION,
                    red=300,
                ),
                lines(
                    "Dead letters, by destination",
                    f"sum by (sink) (monitor_delivery_dead_letters{{{NODE}}})",
                    "{{sink}}",
                    empty=NO_DESTINATION,
                    red=1,
                ),
                events(
                    "Pauses",
                    "monitor_pauses_total",
                    "reason",
                    empty="until a participant was paused",
                ),
            ),
        ),
        (
            "Store and evidence",
            (
                events(
                    "Writes that failed",
                    "monitor_store_failures_total",
                    "instance, reason",
                    empty="while every write succeeds",
                ),
                events(
                    "Not kept",
                    "monitor_store_dropped_total",
                    "instance, kind",
                    empty="while everything is kept",
                ),
                events(
                    "Evidence bundles",
                    "monitor_evidence_bundles_total",
                    "outcome",
                    empty="until an alert of a recorded call",
                ),
            ),
        ),
    ),
    "many",
)
