"""The Prometheus family about what this process does not take from others."""

from prometheus_client import Counter

REFUSALS = Counter(
    "monitor_refusals",
    "What was not taken because one peer, or all, had more than their share; by reason "
    "(docs/threat-model.md)",
    ["reason"],
    registry=None,
)
"""One for the process, in every registry: connections are refused before any service sees them."""
