"""The nodes that a director knows, and which of them is to take the next call."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monitor.cluster.lease import Report, Standing

RESERVED = 3.0
"""Seconds for which a slot that was given away counts as used, reported or not."""


@dataclass(slots=True)
class Node:
    """What is known about one node."""

    standing: Standing
    renewed: float
    """When it was last heard of."""
    draining: bool = False
    lost: bool = False
    buried: bool = False
    """Whether the database knows that it is lost."""
    free: int = 0
    calls: int = 0
    heard: bool = False
    """Whether it has reported since it joined."""
    given: list[float] = field(default_factory=list)
    """When slots were given away."""

    def reported(self, report: Report, now: float) -> None:
        """Take in a report."""
        self.renewed = now
        self.free, self.calls = report.free, report.calls
        self.heard = True

    def room(self, now: float) -> int:
        """Slots to give away."""
        if self.lost or self.draining or not self.heard:
            return 0
        self.given = [at for at in self.given if now - at < RESERVED]
        return max(0, self.free - len(self.given))

    @property
    def state(self) -> str:
        """In one word."""
        if self.lost:
            return "lost"
        if self.draining:
            return "draining" if self.calls else "drained"
        return "ready" if self.heard else "starting"

    def record(self, now: float) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "instance": self.standing.instance,
            "url": self.standing.url,
            "inner_url": self.standing.inner_url,
            "state": self.state,
            "calls": self.calls,
            "free_slots": self.room(now),
        }


class Roster:
    """All nodes by instance, in the order in which they joined."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def add(self, node: Node) -> None:
        """Know a further node."""
        self._nodes[node.standing.instance] = node

    def get(self, instance: str | None) -> Node | None:
        """The node of this name, lost or not."""
        return self._nodes.get(instance) if instance is not None else None

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def take(self, now: float, wanted: str | None = None) -> Node | None:
        """Give away a slot of the wanted node, or of the one with most room; None without any."""
        best = self.get(wanted)
        if best is None or not best.room(now):
            best = max(self, key=lambda node: node.room(now), default=None)
        if best is None or not best.room(now):
            return None
        best.given.append(now)
        return best

    def forget_buried(self) -> None:
        """Drop lost nodes of which the database knows."""
        self._nodes = {name: node for name, node in self._nodes.items() if not node.buried}
