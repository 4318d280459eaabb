"""Whether the service itself stood still: what is missing just after that, it lost."""

import asyncio
import time

from monitor.runtime import log

_log = log.get(__name__)

_STILL = 1.0
"""Seconds by which the event loop must be late."""
_AFTERMATH = 5.0
"""Seconds after that in which packets are missing for it."""


class Standstill:
    """Notices it for one call, by the seconds that a sleep takes longer."""

    def __init__(self) -> None:
        self._over = float("-inf")
        """Monotonic second at which the service went on."""

    async def sleep(self, seconds: float) -> None:
        """Sleep, and notice if that took much longer."""
        due = time.monotonic() + seconds
        await asyncio.sleep(seconds)
        now = time.monotonic()
        if now - due > _STILL:
            self._over = now
            _log.warning("the service stood still", seconds=round(now - due, 1))

    def lately(self, at: float, within: float = _AFTERMATH) -> bool:
        """Whether monotonic second `at` is at most `within` seconds after it."""
        return at - self._over < within
