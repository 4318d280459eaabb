"""Whether finished calls could have come from where the reference calls came from. Pure.

A conformal p-value ranks a call among a fixed, finite set of reference calls. Over many calls
such p-values are not independent and uniform: the set is one draw, and its chance deviations
come back with every call, so a martingale on them grows although nothing has changed. Ranking
each call among the reference calls *and* all calls before it, ties broken at random, makes them
exactly uniform for as long as all of them are exchangeable (Vovk, Gammerman and Shafer 2005,
section 8.2). Only the place among the reference calls is needed: each place is as likely as it
was often taken, once for the new call itself.
"""

import math

from monitor.decision.drift import DriftMartingale


class ExchangeabilityTest:
    """A martingale over calls; if they are exchangeable, it ever reaches C with chance 1/C."""

    def __init__(self, reference_calls: int) -> None:
        """`reference_calls` is the size of the smallest reference set behind the p-values."""
        self._taken = [1] * (reference_calls + 1)
        self._martingale = DriftMartingale()
        self.calls = 0
        """Calls taken."""

    @property
    def log10(self) -> float:
        """Logarithm of the martingale, 0 at the start."""
        return self._martingale.log10

    def add(self, p_value: float, tie: float) -> None:
        """Take one finished call's conformal p-value; `tie` is uniform in [0, 1)."""
        places = len(self._taken)
        # The small term undoes what division left above a whole number.
        place = min(places, max(1, math.ceil(p_value * places - 1e-9))) - 1
        below, here = sum(self._taken[:place]), self._taken[place]
        self._martingale.add((below + tie * here) / sum(self._taken))
        self._taken[place] += 1
        self.calls += 1
