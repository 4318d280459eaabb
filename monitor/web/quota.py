"""How much of one kind one token may have open at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.runtime.refusals import refused
from monitor.web.problems import Problem


class Quota:
    """Counts what is open, by token."""

    def __init__(self, reason: str, what: str, most: int) -> None:
        """`reason` is that of `monitor_refusals`, `what` names it for people."""
        self._reason = reason
        self._what = what
        self._most = most
        self._open: Counter[str] = Counter()

    def take(self, owner: str) -> None:
        """Count one more until `release`; raises Problem if that is too many."""
        if self._open[owner] >= self._most:
            refused(self._reason, by=owner)
            detail = f"{self._what}: at most {self._most} at once with one token"
            raise Problem(429, "Too many at once", detail, {"Retry-After": "10"})
        self._open[owner] += 1

    def release(self, owner: str) -> None:
        """One is over."""
        self._open[owner] -= 1
        if not self._open[owner]:
            del self._open[owner]

    @contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Count one for as long as the block lasts; raises Problem if that is too many."""
        self.take(owner)
        try:
            yield
        finally:
            self.release(owner)
