"""Brings one destination its messages: in order for each call, again until taken or too old."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.delivery.unkept import Unkept
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.runtime.tasks import begin, ended
from monitor.schema.messages import DeliveryError, Due, Message, StoreError
from monitor.schema.records import AlertRecord
from monitor.types import Alert

_log = log.get(__name__)

AT_ONCE = 8
"""Calls whose messages are under way to one destination at the same time."""
BACKOFF_FIRST = 0.5
BACKOFF_LIMIT = 300.0
_LOOK = 30.0
"""Seconds after which the queue is looked at without being woken."""
_STORE_RETRY = 1.0


class Destination(Protocol):
    """Something that takes messages."""

    async def send(self, message: Message) -> None:
        """Return once the other side has taken it; raises DeliveryError."""

    async def run(self) -> None:
        """Do what is to be done between messages, if anything, until cancelled."""

    async def close(self) -> None:
        """Let the connections go."""


class Queue(Protocol):
    """The rows that are to be sent; every method raises StoreError."""

    async def due(self, destination: str, busy: Collection[str], limit: int) -> Due:
        """What is to be sent now."""

    async def delivered(self, number: int) -> None:
        """It was taken."""

    async def failed(self, number: int, error: str, delay: float) -> None:
        """It is to be tried again in `delay` seconds."""

    async def dead(self, number: int, error: str) -> None:
        """It was given up."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Which messages a destination gets, and for how long they are tried."""

    name: str
    """Metric label."""
    tiers: frozenset[str]
    allowed: bool
    """Whether it wants alerts about allowed synthetic speech."""
    timeout: float
    """Seconds one attempt may take."""
    give_up_after: float
    """Seconds of running time."""


class Courier:
    """One destination's worker."""

    def __init__(
        self,
        terms: Terms,
        destination: Destination,
        queue: Queue,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`jitter` gives numbers from 0 to 1."""
        self.name = terms.name
        self._terms = terms
        self._destination = destination
        self._queue = queue
        self._metrics = metrics
        self._jitter = jitter
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._quiet_until = 0.0
        """By the monotonic clock: the destination asked to be left alone."""
        self._gone = False
        """Whether it said that it wants no more; until it takes one that somebody asks to send."""
        self._unkept = Unkept()
        self._sending: dict[str, asyncio.Task[None]] = {}
        """Unkept messages under way, by call."""
        self._attempted: set[str] = set()
        """Calls with a message at the destination just now, kept or not."""
        self._oldest: tuple[float, float] = (0.0, 0.0)
        metrics.delivery_backlog.labels(self.name).set_function(self._backlog)

    def wants(self, alert: Alert) -> bool:
        """Whether this destination is to get the alert."""
        allowed = alert.guidance is not None and alert.guidance.allowance is not None
        return alert.tier in self._terms.tiers and (self._terms.allowed or not allowed)

    def wake(self) -> None:
        """Look for new messages now."""
        self._woken.set()

    def wants_tier(self, tier: str) -> bool:
        """Whether this destination is to get alerts of this tier."""
        return tier in self._terms.tiers

    def tell(self, record: AlertRecord) -> None:
        """Deliver an alert that the database does not take, from memory."""
        key = record["idempotency_key"]
        lost = self._unkept.put(Message(0, self.name, key, record["call"], 0, 0.0, record))
        if lost is not None:
            self._count("dropped")
            _log.error("delivery given up", sink=self.name, key=lost.key, cause="too many wait")
        self.wake()

    def committed(self, key: str) -> None:
        """The database has an alert that was told: what is still to be sent is sent as its row."""
        self._unkept.forget(key)

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._woken.clear()
                wait = await self._begin()
                try:
                    async with asyncio.timeout(wait):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:
            await ended(*self._busy.values(), *self._sending.values())
            self._busy.clear()
            self._sending.clear()

    async def _begin(self) -> float:
        """Start what is due; return how long there is nothing more to do."""
        quiet = self._quiet_until - time.monotonic()
        if quiet > 0:
            return quiet
        under_way = {*self._attempted, *self._sending}
        for message in self._unkept.ready(under_way, AT_ONCE - len(self._sending)):
            self._start(message, self._deliver_unkept, self._sending)
        again = self._unkept.wait or _LOOK
        free = AT_ONCE - len(self._busy)
        if free <= 0:
            return min(_LOOK, again)
        try:
            due = await self._queue.due(self.name, [*self._busy, *self._sending], free)
        except StoreError as error:
            _log.warning("outbox not readable", sink=self.name, cause=error.reason)
            return min(_STORE_RETRY, again)
        self._oldest = (due.oldest, time.monotonic())
        self._metrics.delivery_dead.labels(self.name).set(due.dead)
        for message in due.messages:
            self._start(message, self._deliver, self._busy)
        return min(_LOOK, again, due.wait if due.wait is not None else _LOOK)

    def _start(
        self,
        message: Message,
        deliver: Callable[[Message], Coroutine[Any, Any, None]],
        busy: dict[str, asyncio.Task[None]],
    ) -> None:
        """Deliver a message in a task of its own; until that is over its call is `busy`."""
        call = message.call
        self._attempted.add(call)
        task = busy[call] = begin("delivery", deliver(message))

        def free() -> None:
            busy.pop(call, None)
            self._attempted.discard(call)
            self._woken.set()

        def done(task: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is None:
                free()
            else:
                # It is tried again, and not as fast as it dies.
                asyncio.get_running_loop().call_later(_STORE_RETRY, free)

        task.add_done_callback(done)

    async def _deliver(self, message: Message) -> None:
        number = message.number
        if self._unkept.was_taken(message.key):
            # Before the database took the alert.
            await self._note(message.call, lambda: self._queue.delivered(number))
            return
        if self._gone and not message.asked:
            await self._give_up(message, "the destination wants no more (410)")
            return
        problem = await self._attempt(message)
        if problem is None:
            self._gone = False
            self._count("delivered")
            await self._note(message.call, lambda: self._queue.delivered(number))
            return
        self._count("failed")
        if problem.gone and not self._gone:
            self._gone = True
            _log.error("destination gone", sink=self.name, cause=str(problem))
        if problem.gone or message.age > self._terms.give_up_after:
            await self._give_up(message, str(problem))
            return
        delay = self._delay(message, problem)
        await self._note(message.call, lambda: self._queue.failed(number, str(problem), delay))

    async def _deliver_unkept(self, message: Message) -> None:
        problem = await self._attempt(message)
        if problem is None:
            self._count("delivered")
            self._unkept.taken(message.key)
            return
        self._count("failed")
        if problem.gone or message.age > self._terms.give_up_after:
            self._count("dropped")
            _log.error("delivery given up", sink=self.name, key=message.key, cause=str(problem))
            self._unkept.forget(message.key)
            return
        self._unkept.later(message.key, self._delay(message, problem))

    def _delay(self, message: Message, problem: DeliveryError) -> float:
        """Seconds until a message is tried again."""
        delay = min(BACKOFF_LIMIT, BACKOFF_FIRST * 2.0 ** min(message.attempts, 30))
        # Never past the end: the last attempt comes when the time is up, not minutes later.
        left = max(BACKOFF_FIRST, self._terms.give_up_after - message.age)
        self._quiet_until = max(self._quiet_until, time.monotonic() + problem.wait)
        _log.warning("delivery failed", sink=self.name, key=message.key, cause=str(problem))
        return max(min(delay * (0.5 + self._jitter()), left), problem.wait)

    async def _give_up(self, message: Message, why: str) -> None:
        self._count("dropped")
        _log.error("delivery given up", sink=self.name, key=message.key, cause=why)
        await self._note(message.call, lambda: self._queue.dead(message.number, why))

    async def _attempt(self, message: Message) -> DeliveryError | None:
        """Return None when the destination took the message, else why not."""
        try:
            async with asyncio.timeout(self._terms.timeout):
                await self._destination.send(message)
        except TimeoutError:
            return DeliveryError("timeout")
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001
            # Its text might hold a credential; a destination's fault must not stop the courier.
            return DeliveryError(type(error).__name__)
        return None

    async def _note(self, call: str, write: Callable[[], Awaitable[None]]) -> None:
        """Write what became of a message; until that is done its call stays busy.

        Otherwise a message that was taken would be sent again while the database is locked. What
        is sent from memory need not wait for it.
        """
        self._attempted.discard(call)
        while True:
            try:
                await write()
            except StoreError:
                await asyncio.sleep(_STORE_RETRY)
            else:
                return

    def _count(self, outcome: str) -> None:
        self._metrics.delivery_attempts.labels(self.name, outcome).inc()

    def _backlog(self) -> float:
        age, seen = self._oldest
        return age + time.monotonic() - seen if age else 0.0
