"""Whether a further call is taken on, and why not."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

RETRY_SECONDS = 10
"""After which a refused caller may try again."""


class Level(IntEnum):
    """What of live calls is looked at; each level leaves out what those before it do, and more.

    The voice is judged at every level. Replays know only the first one.
    """

    FULL = 0
    """Everything."""
    NO_CUES = 1
    """No landmarks: physical cues are not evaluated."""
    FEW_LOOKS = 2
    """The face is followed and judged in one picture a second."""
    KEY_FRAMES = 3
    """Only key frames are decoded: the face is judged where there is one, else not evaluated."""


class CapacityError(Exception):
    """No further call is taken; the message says why."""

    def __init__(
        self,
        detail: str,
        reason: Literal["capacity", "overload", "draining", "quota"] = "capacity",
        retry_after: int = RETRY_SECONDS,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        """In one word, for metrics: every slot is taken, the machine is, it is to be freed, or the
        sender has more than its share."""
        self.retry_after = retry_after
        """Seconds."""


class Admission(Protocol):
    """Knows how much this process can carry."""

    @property
    def level(self) -> Level:
        """What of live calls is looked at just now."""

    def free(self, calls: int) -> int:
        """Further calls that can be taken now beside `calls` others; 0 when loaded."""

    def check(self, calls: int) -> None:
        """Raise CapacityError if no further call can be taken beside `calls` others."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Admission by number alone."""

    limit: int
    """Calls at once."""
    level: Level = Level.FULL

    def free(self, calls: int) -> int:
        """Slots that are not in use."""
        return max(0, self.limit - calls)

    def check(self, calls: int) -> None:
        """Raise CapacityError when every slot is in use."""
        if not self.free(calls):
            raise CapacityError(f"all {self.limit} call slots are in use")
