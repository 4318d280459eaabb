"""Bundles made and kept in a thread of its own, so that no call waits for a disk.

What a disk refuses waits here and is tried again; the queue is bounded, and what falls out of it
is counted. Live monitoring never hears of it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.evidence.bundle import Draft
from monitor.evidence.bundle_store import Kept
from monitor.runtime import log, threads

_log = log.get(__name__)

CAPACITY = 20
"""Alerts that may wait for the disk, each with its clip."""


class Outcome(StrEnum):
    """What became of an alert's bundle."""

    WRITTEN = "written"
    FAILED = "failed"
    """An attempt; it is tried again."""
    DROPPED = "dropped"
    """Given up: the disk refused for too long, or the queue was full."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How evidence fares."""

    degraded: bool
    detail: str
    """Why, in words; empty while all is well."""


class Writer:
    """Takes drafts to be made; hand-over is instant."""

    def __init__(
        self,
        keep: Callable[[Draft], Kept],
        told: Callable[[Outcome, bool], None],
        retry: float = 15.0,
        give_up: float = 1800.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`told(outcome, degraded)` hears of every attempt.

        `retry` and `give_up` are seconds between attempts and for which they are made.
        """
        self._keep = keep
        self._told = told
        self._retry = retry
        self._give_up = give_up
        self._clock = clock
        self._queue: deque[tuple[Callable[[], Draft], float]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._condition = Condition(False, "")
        self._thread: threading.Thread | None = None
        self._died_at: Callable[[], Draft] | None = None
        """At which bundle the thread died last."""

    @property
    def condition(self) -> Condition:
        """Whether the latest attempt went well."""
        return self._condition

    def start(self) -> None:
        """Begin to write; raises RuntimeError where the system has no thread for it."""
        self._thread = threads.begin("evidence", "evidence", self._run, lasting=True)

    @property
    def dead(self) -> bool:
        """Whether nothing is written any more, though it was begun."""
        return self._thread is not None and not self._closing and not self._thread.is_alive()

    def put(self, make: Callable[[], Draft]) -> None:
        """Have a bundle made and kept; the oldest waiting one is dropped when there are too many.

        `make` is called in the writer's thread, once for each attempt.
        """
        with self._changed:
            if len(self._queue) >= CAPACITY:
                # The first is being tried.
                del self._queue[1]
                self._drop("too many bundles wait for the disk")
            self._queue.append((make, self._clock()))
            self._changed.notify()

    def close(self, deadline: float = 10.0) -> None:
        """Try once more what waits, then stop; waits for up to `deadline` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(deadline)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                make, since = self._queue[0]
            try:
                done = self._attempt(make, since)
            except BaseException:
                self._survive(make)
                raise
            with self._changed:
                if done or self._closing:
                    if self._queue and self._queue[0][0] is make:
                        self._queue.popleft()
                        if not done:
                            self._drop("the service stopped before the disk had room")
                else:
                    self._changed.wait_for(lambda: self._closing, self._retry)

    def _survive(self, make: Callable[[], Draft]) -> None:
        """Leave out a bundle at which the thread dies twice: it would die for ever."""
        with self._changed:
            again, self._died_at = self._died_at is make, make
            if again and self._queue and self._queue[0][0] is make:
                self._queue.popleft()
        self._condition = Condition(True, "the writer failed; the log has the cause")
        if again:
            self._drop("the writer failed twice at a bundle; the log has the cause")

    def _attempt(self, make: Callable[[], Draft], since: float) -> bool:
        """Return whether this bundle need not be tried again."""
        try:
            kept = self._keep(make())
        except OSError as error:
            words = error.strerror or type(error).__name__
            _log.error("evidence could not be written", detail=words)
            if self._clock() - since >= self._give_up:
                self._drop(words)
                return True
            self._tell(Outcome.FAILED, Condition(True, words))
            return False
        except Exception:  # noqa: BLE001
            # One bundle that cannot be made must not cost those after it.
            _log.exception("evidence could not be made")
            self._drop("a bundle could not be made; the log has the cause")
            return True
        _log.info(
            "evidence written",
            call=kept.call,
            evidence=kept.id,
            sequence=kept.sequence,
            bytes=kept.bytes,
            manifest_sha256=kept.manifest_sha256,
        )
        self._tell(Outcome.WRITTEN, Condition(False, ""))
        return True

    def _drop(self, words: str) -> None:
        _log.error("evidence lost", detail=words)
        self._tell(Outcome.DROPPED, Condition(True, words))

    def _tell(self, outcome: Outcome, condition: Condition) -> None:
        self._condition = condition
        self._told(outcome, condition.degraded)
