"""What one telephony stream may take up of the loop's time: by its messages and by its sound."""

import time
from collections.abc import Callable, Sequence

from monitor.ingest.dialect import Chunk, Message
from monitor.pace import Pace

_MESSAGE = 0.0025
"""Seconds that a message counts for, however little it holds: two tracks of 10 ms are 5 ms."""
_BYTES = 400_000
"""Bytes that count for a second; the fattest stream, stereo at 48 kHz in JSON, has 256,000."""


class Toll:
    """Counts a stream's messages, and each participant's seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._messages = Pace(clock)
        self._voices: dict[str, Pace] = {}

    def pay(self, size: int, messages: Sequence[Message]) -> float:
        """Return for how long to wait before the next message is read; raises FloodError.

        `size`: bytes of what was read as `messages`.
        """
        wait = self._messages.spend(max(_MESSAGE, size / _BYTES))
        for message in messages:
            if isinstance(message, Chunk):
                pace = self._voices.get(message.participant)
                if pace is None:
                    pace = self._voices[message.participant] = Pace(self._clock)
                wait = max(wait, pace.spend(message.duration))
        return wait
