"""When a participant's voice is looked at a second time, and what that makes of a window. Pure.

windows      0-3   1-4   2-5   3-6   4-7   ...     every = 3
first look   x     x     x     x     x
second       x     held  held  x     held
"""

import math
from collections.abc import Mapping

from monitor.decision.strata import is_narrow
from monitor.types import LOOKS, AbstentionReason, AudioWindow, Quality
from monitor.types.protocols import SecondLook

Result = float | AbstentionReason


class Looks:
    """One participant's windows in order.

    Windows overlap: three in a row share a second. The slow network runs once in `every` seconds,
    and what it found is held for the windows that begin until it may run again.
    """

    def __init__(self, second: SecondLook | None) -> None:
        """With None every window keeps its first look."""
        self._second = second
        self._looked = -math.inf
        """Call second at which the window began that was last looked at."""
        self._found = 0.0

    def due(self, window: AudioWindow, first: Result) -> bool:
        """Whether `look` is to be called for this window."""
        return self._wanted(window, first) and not self._held(window)

    def look(self, window: AudioWindow) -> None:
        """Run the slow network on a window."""
        if self._second is None:
            return
        found = self._second.logit(window)
        if math.isfinite(found):
            self._found, self._looked = found, window.span.start

    def fused(self, window: AudioWindow, first: Result) -> tuple[Result, Quality]:
        """The window's logit by all that was seen, and its quality with the number of looks."""
        if self._second is None or isinstance(first, AbstentionReason):
            return first, window.quality
        if not (self._wanted(window, first) and self._held(window)):
            return first, _with(window.quality, 1)
        rule = self._second.rule
        fusion = rule.narrow if is_narrow(window.quality) else rule.wide
        return fusion.logit(first, self._found), _with(window.quality, 2)

    def _wanted(self, window: AudioWindow, first: Result) -> bool:
        """Whether this is a window that the first look is often wrong about."""
        if self._second is None or isinstance(first, AbstentionReason):
            return False
        poor = is_narrow(window.quality) or window.missing_seconds > 0
        return poor or abs(first) < self._second.rule.certain

    def _held(self, window: AudioWindow) -> bool:
        every = self._second.rule.every if self._second is not None else 0.0
        # Starts are whole seconds apart, but not to the last bit.
        return window.span.start < self._looked + every - 0.01


def _with(quality: Mapping[str, float], looks: int) -> Quality:
    return {**quality, LOOKS: float(looks)}
