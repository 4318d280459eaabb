"""How a detector's second look at a window is used."""

from dataclasses import dataclass

LOOKS = "looks"
"""The measure of quality that says how many looks a window's logit rests on, 1 or 2; absent where
a detector only ever takes one."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Both looks' logits → one, on the first one's scale."""

    first: float
    second: float
    offset: float

    def logit(self, first: float, second: float) -> float:
        """Return the weighted sum."""
        return self.first * first + self.second * second + self.offset


@dataclass(frozen=True, slots=True)
class LookRule:
    """When a second look is worth its time, and what becomes of it."""

    narrow: Fusion
    """For a window that came through a telephone channel."""
    wide: Fusion
    """For any other."""
    certain: float
    """A wide window without losses whose first logit is as far from 0 is not looked at again."""
    every: float
    """Seconds from one look at a participant to the next."""
