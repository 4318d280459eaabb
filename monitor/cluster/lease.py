"""What nodes and their director tell each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a node is: one start of one process."""

    instance: str
    """Never used again: a process that is started anew is another node."""
    url: str
    """Where clients reach it."""
    inner_url: str
    """Where the gateway reaches it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right, and the duty, to pull a source; superseded by any with a higher epoch."""

    source: str
    epoch: int
    sealed: str
    """What to pull, encrypted."""

    @property
    def call(self) -> str:
        """The id of the call that is pulled under it."""
        return f"{self.source}.{self.epoch}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A pulled source that came to its end."""

    source: str
    epoch: int
    reason: str
    """In one word, as of the call."""
    ago: float = 0.0
    """Seconds before the report."""


@dataclass(frozen=True, slots=True)
class Report:
    """A node's state, sent with every renewal."""

    instance: str
    free: int
    """Further calls it can take."""
    calls: int
    """In progress."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Sources that it pulls, with their epochs."""
    flowing: frozenset[str] = frozenset()
    """Those of them whose media has arrived."""
    ended: tuple[Ended, ...] = ()
    """Since the last report that was answered."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a node is to do; whatever it pulls under no lease of these, it stops."""

    leases: tuple[Lease, ...] = ()
    draining: bool = False
    """Whether it takes no new call."""
    inherit: tuple[str, ...] = ()
    """Lost nodes whose deliveries it is to send."""


class Fence:
    """When a node that hears of nobody must stop pulling.

    Counted from when the last renewal that succeeded was sent: the director counts from when it
    came, which is later, so that it never gives a lease away that is still used.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._sent = now

    def renewed(self, sent: float) -> None:
        """Note a renewal that was sent at `sent` and answered since."""
        self._sent = max(self._sent, sent)

    def left(self, now: float) -> float:
        """Seconds until the leases are over; not positive once they are."""
        return self._sent + self._seconds - now
