"""A machine that is late thins video, step by step, and takes no further calls until it is not.

    pressure   0.4  1.2  1.3  1.4  1.1  0.9  0.4  0.3 ... 0.2 ... 0.2
    level      0    0    1    1    2    2    2        1       0
    calls      taken     refused                              taken

Pressure is how late the process is, as a share of how late it may be: the event loop, and work
that waits for an inference thread. Lateness is what hurts, whatever causes it: calls, replays, or
what else the machine does. Levels rise one by one while the pressure is 1 or more, so that no more
is left out than must be, and fall one by one after it has been below a half for a while, so that
they do not swing. While anything is left out no call is taken: it would be at the cost of those
that are there. Pure but for `run`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from monitor.calls.admission import CapacityError, Level, Slots
from monitor.runtime import log

_log = log.get(__name__)

EVERY = 0.5
"""Seconds between two readings."""
_TICK = 0.05
"""Seconds between two looks at the event loop's lag."""
_EASE = 0.5
"""Pressure below which the machine is at ease."""


@dataclass(frozen=True, slots=True)
class GovernorOptions:
    """When the machine counts as late; seconds."""

    enabled: bool = True
    loop_lag: float = 0.25
    """Mean lateness of the event loop."""
    inference_wait: float = 0.5
    """Longest wait of work for an inference thread."""
    rise_after: float = 1.5
    """For how long, before the next level."""
    recover_after: float = 15.0
    """For how long it must have been at ease, before the level below."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How late the process was since the reading before; seconds."""

    loop_lag: float
    inference_wait: float


class Governor:
    """Admission by slots and by lateness; see `Admission`."""

    def __init__(
        self, limit: int, options: GovernorOptions, changed: Callable[[Level], None]
    ) -> None:
        """`changed` hears of each new level."""
        self._slots = Slots(limit)
        self._options = options
        self._changed = changed
        self._level = Level.FULL
        self._why = ""
        """Why something is left out, in words."""
        self._since: float | None = None
        """When the pressure came to where it is: high, low; None in between."""
        self._high = False

    @property
    def level(self) -> Level:
        """What of live calls is looked at just now."""
        return self._level

    def free(self, calls: int) -> int:
        """Slots that are not in use; none while anything is left out."""
        return self._slots.free(calls) if self._level == Level.FULL else 0

    def check(self, calls: int) -> None:
        """Raise CapacityError when every slot is in use or anything is left out."""
        self._slots.check(calls)
        if self._level != Level.FULL:
            wait = max(1, round(self._options.recover_after))
            detail = f"the machine is overloaded, and video thinned: {self._why}"
            raise CapacityError(detail, "overload", wait)

    def update(self, reading: Reading, at: float) -> None:
        """Take a reading of monotonic second `at`; levels move one at a time."""
        if not self._options.enabled:
            return
        pressure, words = self._pressure(reading)
        high, low = pressure >= 1, pressure < _EASE
        if not (high or low):
            self._since = None
        elif self._since is None or high is not self._high:
            self._since, self._high = at, high
        elif high and at - self._since >= self._options.rise_after:
            self._move(min(self._level + 1, max(Level)), words)
            self._since = at
        elif low and at - self._since >= self._options.recover_after:
            self._move(max(self._level - 1, Level.FULL), words)
            self._since = at

    def _pressure(self, reading: Reading) -> tuple[float, str]:
        """The worse of the two, and what it is."""
        options = self._options
        return max(
            (
                reading.loop_lag / options.loop_lag,
                f"the event loop is {reading.loop_lag:.2f} s late (governor.loop_lag)",
            ),
            (
                reading.inference_wait / options.inference_wait,
                f"inference is {reading.inference_wait:.2f} s late (governor.inference_wait)",
            ),
        )

    def _move(self, level: int, words: str) -> None:
        if level == self._level:
            return
        rises = level > self._level
        if rises:
            self._why = words
        self._level = Level(level)
        tell = _log.warning if rises else _log.info
        tell("video thinned" if rises else "video restored", level=level, detail=words)
        self._changed(self._level)

    async def run(self, waited: Callable[[], float], observe_lag: Callable[[float], None]) -> None:
        """Read until cancelled; `waited` as `Executor.lateness`, `observe_lag` hears seconds."""
        while True:
            lags: list[float] = []
            while len(lags) * _TICK < EVERY:
                due = time.monotonic() + _TICK
                await asyncio.sleep(_TICK)
                lags.append(max(0.0, time.monotonic() - due))
                observe_lag(lags[-1])
            reading = Reading(sum(lags) / len(lags), waited())
            self.update(reading, time.monotonic())
