"""Whether sound that comes at another speed is of another format, or only late. Pure.

A sampling rate or a number of channels that was not agreed on gives the ratio of two formats, and
always the same. A network or a busy machine gives any: what they deliver too slowly is still a
voice at its own speed, and what comes too fast after a pause may have been held up.
"""

from collections import deque
from collections.abc import Iterator

from monitor.ingest.clock.envelope import Envelope

SPEED = 0.07
"""Share by which samples a second may differ from what was agreed: a clock is not worse."""
_LOOKS = (2.0, 0.3), (4.5, SPEED)
"""Seconds that tell a difference of at least so much."""
_CATCHING_UP = 60.0
"""Seconds after a pause in which sound that comes too fast may be what was held up."""
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_NEAR = 0.015
"""Share by which a speed may differ from a ratio: what sampling clocks and measurements do."""


def of_formats(speed: float, agreed: int | None = None) -> bool:
    """Whether a speed, seconds of sound that come each second, is the ratio of two formats.

    `agreed`: the sampling rate that was agreed on, in hertz; None for any.
    """
    rates = _RATES if agreed is None else (agreed,)
    return any(abs(speed / ratio - 1) < _NEAR for rate in rates for ratio in _ratios(rate))


def _ratios(agreed: int) -> Iterator[float]:
    for rate in _RATES:
        ratio = rate / agreed
        if ratio != 1.0:
            yield ratio
        # Two channels, or bytes a sample, for one; or one for two.
        if ratio >= 1.0:
            yield 2 * ratio
        if ratio <= 1.0:
            yield ratio / 2


class Speed:
    """How fast the sound of one track comes."""

    def __init__(self) -> None:
        self.value = 1.0
        """Seconds of sound that come each second, where that is no matter of a clock."""
        self.starved = False
        """Whether sound comes too slowly, and it is no matter of a format either."""
        self.agreed: int | None = None
        """Hertz that were agreed on, where that is known."""
        self._breaks: deque[tuple[float, float]] = deque(maxlen=25)
        """Arrival after the latest breaks on the wire, and their seconds."""
        self._pause = 0.0, 0.0
        """The same of the latest that was taken for a pause by the arrival alone."""

    def broke(self, at: float, seconds: float) -> None:
        """A break on the wire of so many seconds ends at `at` (monotonic seconds)."""
        self._breaks.append((at, seconds))

    def paused(self, at: float, seconds: float) -> None:
        """Such a break was taken for a pause."""
        self._pause = at, seconds

    def judge(self, delays: Envelope, now: float) -> bool:
        """Judge by the delays up to `now`; return whether sound is late at its own speed."""
        for span, least in _LOOKS:
            slope = delays.slope(span)
            if slope is None:
                continue
            if abs(slope) > least:
                return self._judge(slope, span, now)
            if abs(slope) < SPEED and (self.value != 1.0 or self.starved):
                self.value, self.starved = 1.0, False
                return False
        return self.starved

    def _judge(self, slope: float, span: float, now: float) -> bool:
        """Tell why delay grows by `slope` seconds each second for `span` seconds."""
        if slope > 0 and sum(s for at, s in self._breaks if at > now - span) > slope * span / 2:
            # Not slow but with breaks, each of which may have been a pause.
            return True
        at, pause = self._pause
        if slope < 0 and now - at < min(_CATCHING_UP, pause / -slope + span):
            self.value = 1.0
            return False
        speed = 1 - slope
        self.starved = slope > 0 and not of_formats(speed, self.agreed)
        if self.starved:
            self.value = 1.0
        elif abs(speed - self.value) > 0.1 * self.value or self.value == 1.0:
            self.value = speed
        return self.starved
