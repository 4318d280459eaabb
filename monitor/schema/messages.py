"""What passes between the outbox, the store and the destinations."""

from dataclasses import dataclass
from enum import StrEnum

from monitor.schema.records import AlertRecord


class DeliveryState(StrEnum):
    """How far a message to one destination has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up; kept so that somebody can send it again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One alert message on its way to one destination."""

    number: int
    """Grows with the order of acceptance."""
    destination: str
    key: str
    """The alert message's idempotency key."""
    call: str
    attempts: int
    """How often it was tried before."""
    age: float
    """Seconds of the service's running time since it was accepted."""
    record: AlertRecord
    asked: bool = False
    """Whether it was given up, and somebody asks to send it again."""


@dataclass(frozen=True, slots=True)
class Due:
    """What one destination has to send now."""

    messages: tuple[Message, ...]
    """At most one for each call: the oldest that is not delivered."""
    wait: float | None
    """Seconds until the next becomes due; None when nothing else waits."""
    oldest: float
    """Age in seconds of the oldest undelivered message; 0 without any."""
    dead: int
    """Messages that were given up."""


ROW = "row"
"""Why a database refuses what would be refused by any: that row itself is at fault."""


class StoreError(Exception):
    """The database did not take or give what was asked for; nothing of it was kept."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        """One word for metrics: locked, full, unreachable, closed, row or other."""
        self.detail = detail
        """For people, one line; the text never holds a credential."""


class DeliveryError(Exception):
    """A destination did not take a message; the text never holds a credential."""

    def __init__(self, detail: str, wait: float = 0.0, gone: bool = False) -> None:
        super().__init__(detail)
        self.wait = wait
        """Seconds for which the destination asks to be left alone."""
        self.gone = gone
        """Whether it says that it wants no message ever again."""
