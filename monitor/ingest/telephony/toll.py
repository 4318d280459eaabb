"""What one telephony stream may take up of the loop's time: by its messages and by its sound."""

import time
from collections.abc import Callable, Sequence

from monitor.ingest.telephony.dialect import Chunk, Message
from monitor.runtime.pace import Pace

_MESSAGE = 0.005
"""Seconds that a party's message counts for at least: none holds less than 10 ms."""
_BYTES = 200_000
"""Bytes of a party that count for a second; the fattest, 48 kHz in JSON, has 128,000."""


class Toll:
    """Counts a stream's messages, and each participant's seconds."""

    def __init__(self, parties: int = 2, clock: Callable[[], float] = time.monotonic) -> None:
        """`parties`: how many may speak at once; `clock` gives monotonic seconds."""
        self._message, self._bytes = _MESSAGE / parties, _BYTES * parties
        self._clock = clock
        self._messages = Pace(clock)
        self._voices: dict[str, Pace] = {}

    def pay(self, size: int, messages: Sequence[Message]) -> float:
        """Return for how long to wait before the next message is read; raises FloodError.

        `size`: bytes of what was read as `messages`.
        """
        wait = self._messages.spend(max(self._message, size / self._bytes))
        for message in messages:
            if isinstance(message, Chunk):
                pace = self._voices.get(message.participant)
                if pace is None:
                    pace = self._voices[message.participant] = Pace(self._clock)
                wait = max(wait, pace.spend(message.duration))
        return wait
