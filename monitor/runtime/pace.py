"""How fast one peer may take up the time of all. Pure.

ahead   seconds that came beyond those that have passed
-60 .. 6   a stall that is caught up: taken as it comes
  6 .. 10  slowed down to `RATE`
 10 ..     no stall explains it: refused
"""

from collections.abc import Callable

CREDIT = 60.0
"""Seconds of a stall that are caught up, at most."""
BURST = 6.0
"""Seconds that may come ahead of the clock before they are slowed down."""
RATE = 2.5
"""Seconds taken a second from then on."""
LEAD = 10.0
"""Seconds ahead of the clock at which a peer is refused."""
_DRIFT = 0.02
"""By how much a peer's clock may be faster than ours."""


class FloodError(Exception):
    """A peer sends more than anybody can speak."""


class Pace:
    """Holds what a stream brings against the clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._at = clock()
        self._ahead = 0.0

    def spend(self, seconds: float) -> float:
        """Take `seconds`; return for how long to wait before more is taken.

        Raises FloodError once the peer is ahead of the clock by more than any stall explains.
        """
        now = self._clock()
        passed = (now - self._at) * (1 + _DRIFT)
        self._at = now
        self._ahead = max(self._ahead - passed, -CREDIT) + seconds
        if self._ahead > LEAD:
            raise FloodError(f"by {self._ahead:.0f} s")
        return seconds / RATE if self._ahead > BURST else 0.0


class Bucket:
    """Lets a number pass at once, and so many a second; for what is dropped, not held back."""

    def __init__(self, clock: Callable[[], float], burst: float, rate: float) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._burst, self._rate = burst, rate
        self._at = clock()
        self._left = burst

    def take(self) -> bool:
        """Whether one more passes."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
