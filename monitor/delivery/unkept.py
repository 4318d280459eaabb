"""Messages of one destination whose alert the database does not take: kept in memory, sent once.

Nothing of them outlives the process. Once the database has the alert, its row takes over.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import replace

from monitor.schema.messages import Message

CAPACITY = 10_000
"""Messages, and keys of those that were taken; beyond it the oldest are forgotten."""


class Unkept:
    """In order for each call, like rows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._waiting: OrderedDict[str, Message] = OrderedDict()
        self._since: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._taken: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """How many wait, or are under way."""
        return len(self._waiting)

    def put(self, message: Message) -> Message | None:
        """Keep a message until it is taken; return the oldest if that had to make room."""
        self._waiting[message.key] = message
        self._since[message.key] = self._due[message.key] = self._clock()
        if len(self._waiting) <= CAPACITY:
            return None
        oldest = next(iter(self._waiting.values()))
        self.forget(oldest.key)
        return oldest

    def ready(self, busy: Container[str], limit: int) -> list[Message]:
        """Up to `limit` to be sent now, of calls that are not `busy`: the oldest of each."""
        now = self._clock()
        seen: set[str] = set()
        found: list[Message] = []
        for key, message in self._waiting.items():
            if len(found) >= limit:
                break
            if message.call in seen or message.call in busy:
                continue
            seen.add(message.call)
            if self._due[key] <= now:
                found.append(replace(message, age=now - self._since[key]))
        return found

    @property
    def wait(self) -> float | None:
        """Seconds until the next is due; None if none waits for its time."""
        now = self._clock()
        return min((due - now for due in self._due.values() if due > now), default=None)

    def taken(self, key: str) -> None:
        """The destination has it; its row, if there ever is one, need not be sent."""
        self.forget(key)
        self._taken[key] = None
        if len(self._taken) > CAPACITY:
            self._taken.popitem(last=False)

    def was_taken(self, key: str) -> bool:
        """Whether the destination has it; asked when its row is about to be sent."""
        return key in self._taken

    def later(self, key: str, delay: float) -> None:
        """Try it again in `delay` seconds."""
        if key in self._waiting:
            self._waiting[key] = replace(
                self._waiting[key], attempts=self._waiting[key].attempts + 1
            )
            self._due[key] = self._clock() + delay

    def forget(self, key: str) -> None:
        """It is given up, or the database has it."""
        self._waiting.pop(key, None)
        self._since.pop(key, None)
        self._due.pop(key, None)
