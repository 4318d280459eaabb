"""Prometheus families of a cluster, as its gateway serves them."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

STATES = ("starting", "ready", "draining", "drained", "lost")


class ClusterFamilies:
    """What the director knows, written down at each scrape.

    The totals begin anew with the director, as a process's do.
    """

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.nodes = Gauge("monitor_cluster_nodes", "Nodes by state", ["state"], registry=r)
        self.slots = Gauge("monitor_cluster_slots_free", "Calls that can be taken", registry=r)
        self.calls = Gauge("monitor_cluster_calls", "Calls in progress", registry=r)
        self.sources = Gauge(
            "monitor_cluster_sources", "Sources that are to be pulled, by state", ["state"],
            registry=r,
        )  # fmt: skip
        self.totals = {
            name: Gauge(f"monitor_cluster_{name}_total", meaning, registry=r)
            for name, meaning in {
                "nodes_lost": "Nodes that Ray declared dead",
                "calls_interrupted": "Calls that ended with their node",
                "seconds_lost": "Seconds of those calls that nobody monitored, until it was known",
                "leases_moved": "Sources that were given to another node",
            }.items()
        }

    def update(self, overview: Mapping[str, Any]) -> None:
        """Take over what the director says."""
        nodes, sources = overview["nodes"], overview["sources"]
        for state in STATES:
            self.nodes.labels(state).set(sum(n["state"] == state for n in nodes))
        self.slots.set(sum(n["free_slots"] for n in nodes))
        self.calls.set(sum(n["calls"] for n in nodes))
        states = [state_of(source) for source in sources]
        for state in ("flowing", "waiting", "ended"):
            self.sources.labels(state).set(states.count(state))
        for name, family in self.totals.items():
            family.set(overview["tally"][name])


def state_of(source: Mapping[str, Any]) -> str:
    """Whether a source's media flows, in one word."""
    if source["ended"] is not None:
        return "ended"
    return "flowing" if source["flowing"] else "waiting"
