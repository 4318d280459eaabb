"""Points of a followed face → the same points, steadied over time. Pure."""

import math

import numpy as np

from monitor.analysis.alignment import Points

_REST_HZ = 1.0
_HZ_PER_SPEED = 14.0
"""Cut-off of the smoothing at rest, and its growth per face width a second: strong enough against
the cascade's jitter, and within a hundredth of a face width of a head in a quick pan."""


class SteadyPoints:
    """Points smoothed by a low-pass whose cut-off rises with their speed.

    Casiez et al. 2012, "1 euro filter", with one speed for all points: that of the box, in face
    widths a second.
    """

    def __init__(self) -> None:
        self._time = -math.inf
        self._points: Points | None = None

    def next(self, time: float, points: Points) -> Points:
        """The smoothed points at `time`; the first two are the corners of the box."""
        elapsed = time - self._time
        self._time = time
        if self._points is None or elapsed <= 0:
            self._points = points
            return points
        step = points - self._points
        speed = float(np.abs(step[:2]).max()) / float(points[1, 0] - points[0, 0]) / elapsed
        cutoff = _REST_HZ + _HZ_PER_SPEED * speed
        share = 1 / (1 + 1 / (2 * math.pi * cutoff * elapsed))
        self._points = self._points + share * step
        return self._points
