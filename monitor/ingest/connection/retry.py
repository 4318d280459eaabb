"""Connecting again and again to what went away, each time a little later."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from monitor.runtime import log
from monitor.types.protocols import Intake, SourceError

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Seconds."""

    first: float = 0.5
    """Pause before the second connection; each further one is twice as long."""
    limit: float = 15.0
    """The longest pause."""
    give_up_after: float = 300.0
    """Without media for this long the call ends; 0 never gives up."""
    at_once: bool = False
    """Whether a first connection that fails is tried again like a lost one."""


class Retry:
    """Runs one source's connections one after another."""

    def __init__(
        self,
        uri: str,
        options: RetryOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`uri` is for the log, which hides credentials; `jitter` gives 0 to 1."""
        self._uri = uri
        self._options = options
        self._jitter = jitter

    async def run(
        self,
        intake: Intake,
        connect: Callable[[], Awaitable[None]],
        reached: Callable[[], float | None],
    ) -> str:
        """Connect until cancelled or given up; raises SourceError if media never came.

        `connect` delivers one connection's media, returns when it ends and raises SourceError when
        it fails; `reached` says up to which call second media was handed over, None before any.
        """
        delay = self._options.first
        while True:
            before = reached()
            error: SourceError | None = None
            try:
                await connect()
            except SourceError as caught:
                error = caught
            until = reached()
            if until != before:
                delay = self._options.first
            if error is not None and until is None and not self._options.at_once:
                raise error
            limit = self._options.give_up_after
            if limit and intake.now() - (until or 0.0) > limit:
                if error is not None and until is None:
                    raise error
                return "gone"
            pause = delay * (0.5 + self._jitter())
            _log.warning(
                "source connection lost" if error is None else "source connection failed",
                uri=self._uri,
                reason="closed" if error is None else error.reason,
                detail="" if error is None else error.detail,
                retry_seconds=round(pause, 2),
            )
            await asyncio.sleep(pause)
            delay = min(delay * 2, self._options.limit)
