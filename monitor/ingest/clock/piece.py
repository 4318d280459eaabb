"""The sound of one packet, before and after it has its place in the call. Pure."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """The sound of one packet, in the order of sending."""

    content: T
    length: float
    """Seconds that its samples last."""
    arrived: float
    """Monotonic seconds."""
    stamp: float | None = None
    """Seconds of the sender's stamps without wrap-around; None where there are none."""
    missing: int = 0
    """Packets just before it that were sent and did not come."""
    lost: float = 0.0
    """Seconds just before it that the sender says it threw away."""


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A piece and where it belongs."""

    piece: Piece[T]
    at: float
    """Monotonic seconds at which it begins."""
    length: float
    """Seconds that it takes; more than its own where it is stretched."""
    lost: float = 0.0
    """Seconds just before it that were sent and did not come."""
    silent: float = 0.0
    """Seconds before those in which nothing was sent."""
    filled: float = 0.0
    """What of these nothing tells but the arrival."""
    away: float = 0.0
    """Seconds before those between two streams of the sender."""
    cut: bool = False
    """Whether there is no room for it: it would lie in the future."""
    misread: bool = False
    """Whether samples come at another rate than was agreed, so that this is no voice."""
