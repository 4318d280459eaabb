"""Least delays of what arrives: they tell a clock's rate, whatever the network adds. Pure.

delay  │  ·   ·      ·    ·   ·       packets; jitter only ever adds
       │·   · · ·  · · · ·  · · ·
       │ _ ._ _ _·_ _ _ ._ _ _ ·_     least of each half second; its slope is the skew
       └────────────────────────── arrival
"""

from collections import deque

BUCKET = 0.5
"""Seconds whose least delay counts as one measurement: a packet in time comes as often."""
_KEPT = 240
"""Measurements: two minutes."""
_STRAIGHT = 0.03
"""Seconds by which measurements may lie beside a line and still be one."""


class Envelope:
    """The least delay of each half second since the last `clear`."""

    def __init__(self) -> None:
        self._lows: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        """Arrival and delay of the least delayed packet of each half second that is over."""
        self._number: int | None = None
        self._low = (0.0, 0.0)

    def clear(self) -> None:
        """What comes next says nothing about what was before."""
        self._lows.clear()
        self._number = None

    def add(self, arrived: float, delay: float) -> bool:
        """Take a packet's arrival and delay, in seconds; return whether a measurement is new."""
        number = int(arrived / BUCKET)
        if number == self._number:
            if delay < self._low[1]:
                self._low = arrived, delay
            return False
        over = self._number is not None
        if over:
            self._lows.append(self._low)
        self._number, self._low = number, (arrived, delay)
        return over

    def recent(self) -> tuple[float, float] | None:
        """The two latest measurements in seconds, the smaller one first; None before both."""
        if len(self._lows) < 2:
            return None
        one, other = self._lows[-2][1], self._lows[-1][1]
        return min(one, other), max(one, other)

    def slope(self, span: float) -> float | None:
        """Seconds by which delay grows each second, over the last `span` seconds or more.

        None before that, and while the measurements are on no line.
        """
        if not self._lows or self._lows[-1][0] - self._lows[0][0] < span:
            return None
        end, last = self._lows[-1]
        taken = [low for low in self._lows if end - low[0] <= span + BUCKET]
        begin, first = taken[0]
        slope = (last - first) / (end - begin)
        allowed = _STRAIGHT + 0.1 * abs(last - first)
        if any(abs(first + slope * (at - begin) - low) > allowed for at, low in taken):
            return None
        return slope

    def skew(self) -> float | None:
        """The slope over all that is kept, by least squares; None before ten seconds."""
        if not self._lows or self._lows[-1][0] - self._lows[0][0] < 10.0:
            return None
        count = len(self._lows)
        middle = sum(at for at, _ in self._lows) / count
        mean = sum(low for _, low in self._lows) / count
        spread = sum((at - middle) ** 2 for at, _ in self._lows)
        return sum((at - middle) * (low - mean) for at, low in self._lows) / spread
