"""Prometheus families of a cluster, as its gateway serves them."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

STATES = ("starting", "ready", "draining", "drained", "lost")
"""Of nodes."""
TOTALS = {
    "nodes_lost": "Nodes that Ray declared dead",
    "calls_interrupted": "Calls that ended with their node",
    "seconds_lost": "Seconds of those calls that nobody monitored, until it was known",
    "leases_moved": "Sources that were given to another node",
}
"""Since the cluster's database was made: they outlive a director."""


class ClusterFamilies(Collector):
    """What the director said last."""

    def __init__(self) -> None:
        self._overview: Mapping[str, Any] = {"nodes": [], "sources": [], "tally": {}}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def update(self, overview: Mapping[str, Any]) -> None:
        """Take over what the director says."""
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        """Write it down."""
        nodes, sources = self._overview["nodes"], self._overview["sources"]
        by_state = GaugeMetricFamily("monitor_cluster_nodes", "Nodes by state", labels=["state"])
        for state in STATES:
            by_state.add_metric([state], sum(n["state"] == state for n in nodes))
        yield by_state
        pulled = GaugeMetricFamily(
            "monitor_cluster_sources", "Sources that are to be pulled, by state", labels=["state"]
        )
        states = [_state(source) for source in sources]
        for state in ("flowing", "waiting", "ended"):
            pulled.add_metric([state], states.count(state))
        yield pulled
        free = sum(n["free_slots"] for n in nodes)
        yield GaugeMetricFamily("monitor_cluster_slots_free", "Calls that can be taken", free)
        calls = sum(n["calls"] for n in nodes)
        yield GaugeMetricFamily("monitor_cluster_calls", "Calls in progress", calls)
        for name, meaning in TOTALS.items():
            value = self._overview["tally"].get(name, 0)
            yield CounterMetricFamily(f"monitor_cluster_{name}", meaning, value)


def _state(source: Mapping[str, Any]) -> str:
    if source["ended"] is not None:
        return "ended"
    return "flowing" if source["flowing"] else "waiting"
