"""How many messages one address may send: others are to be answered beside it."""

import time
from collections import OrderedDict
from collections.abc import Callable

from monitor.runtime.pace import Bucket

BURST, RATE = 200.0, 50.0
"""Messages of one address at once, and a second; what is dropped comes again (RFC 3261, 17.1)."""
_MOST = 1000
"""Addresses that are remembered."""


class Shares:
    """Those of all addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._paces: OrderedDict[str, Bucket] = OrderedDict()

    def allow(self, address: str) -> bool:
        """Whether a further message of this address is looked at."""
        pace = self._paces.get(address)
        if pace is None:
            pace = self._paces[address] = Bucket(self._clock, BURST, RATE)
            if len(self._paces) > _MOST:
                self._paces.popitem(last=False)
        self._paces.move_to_end(address)
        return pace.take()
