"""How many pictures a second are looked at, as a function of call time alone, and how large.

Forgery needs a few pictures a second; what moves, such as lips and eyelids, needs more, but not
all the time. As call time decides, a recording is looked at exactly as the call was.
"""

from collections.abc import Callable
from dataclasses import dataclass

from monitor.types import Span


@dataclass(frozen=True, slots=True)
class Sampling:
    """Pictures at `fps`, and in bursts at `burst_fps` for what moves."""

    fps: float = 5.0
    """Pictures a second."""
    burst_fps: float = 15.0
    """Pictures a second within a burst; not less than `fps`."""
    burst_seconds: float = 10.0
    """Length of a burst; 0 for none."""
    burst_every: float = 30.0
    """Seconds from the beginning of one burst to that of the next; the first is at 0."""
    most_pixels: int = 10_000_000
    """Of one picture; larger ones are not decoded."""

    @classmethod
    def steady(cls, fps: float) -> "Sampling":
        """The same rate all the time."""
        return cls(fps, burst_seconds=0.0)

    def bursting(self, time: float) -> bool:
        """Whether call second `time` lies in a burst."""
        return time % self.burst_every < self.burst_seconds

    def bursts_in(self, span: Span) -> bool:
        """Whether a part of `span` lies in a burst."""
        into = span.start % self.burst_every
        return into < self.burst_seconds or (
            self.burst_seconds > 0 and into + span.duration > self.burst_every
        )

    def rate(self, time: float) -> float:
        """Pictures a second at call second `time`."""
        return max(self.fps, self.burst_fps) if self.bursting(time) else self.fps


class Pace:
    """Tells which of the pictures that come are due, at a rate that may depend on call time."""

    def __init__(self, rate: Callable[[float], float]) -> None:
        self._rate = rate
        self._next = 0.0

    def reached(self, time: float) -> bool:
        """Whether a picture of call second `time` may be due; one that is not never will be."""
        return time >= self._next

    def due(self, time: float) -> bool:
        """Whether the picture of call second `time` is due; pictures come in order."""
        if not self.reached(time):
            return False
        interval = 1 / self._rate(time)
        # Not only a step from the picture before: after a gap there is nothing to catch up with.
        self._next = max(self._next + interval, time + interval / 2)
        return True
