"""Time from the onset of a fake to the first alarm, when some calls end before either. Pure.

The product-limit estimate of Kaplan and Meier (J. American Statistical Association 53, 1958,
457-481): a call that ends unalarmed says that it took at least that long, nothing more.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Survival:
    """The share of fakes not yet noticed, over seconds since their onset."""

    times: NDArray[np.float64]
    """Distinct seconds at which alarms came, ascending."""
    unnoticed: NDArray[np.float64]
    """Share not yet noticed just after each of them."""
    longest: float
    """Seconds over which enough calls were followed; nothing is said beyond."""

    def noticed_by(self, seconds: float) -> float | None:
        """Share noticed within so many seconds; None beyond what was followed."""
        at = int(np.searchsorted(self.times, seconds, "right"))
        left = float(self.unnoticed[at - 1]) if at else 1.0
        return 1 - left if seconds <= self.longest or left == 0 else None

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share is noticed; None if it never is."""
        reached = np.flatnonzero(self.unnoticed <= 1 - share + 1e-12)
        return float(self.times[reached[0]]) if len(reached) else None


def kaplan_meier(seconds: ArrayLike, noticed: ArrayLike, fewest: int = 1) -> Survival:
    """Estimate from each call's seconds since onset until its alarm, or else until its end.

    Stops where fewer than `fewest` calls are still followed: a step of one of the last few
    would be a large one.
    """
    duration = np.asarray(seconds, np.float64)
    event = np.asarray(noticed, np.bool_)
    if len(duration) < fewest:
        return Survival(np.empty(0), np.empty(0), -math.inf)
    longest = float(np.sort(duration)[-fewest])
    times, alarms = np.unique(duration[event & (duration <= longest)], return_counts=True)
    # A call that ends at the moment of another's alarm was still at risk.
    at_risk = len(duration) - np.searchsorted(np.sort(duration), times, "left")
    return Survival(times, np.cumprod(1 - alarms / at_risk, dtype=np.float64), longest)
