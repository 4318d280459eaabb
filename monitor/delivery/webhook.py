"""Alerts → signed HTTP POSTs, in order, tried again until delivered or too old.

Signed as the Standard Webhooks specification says, so that receivers verify with its libraries.
Messages wait in memory: a restart loses those that were not delivered.
"""

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from monitor import log, wire
from monitor.delivery.logged import NullSink
from monitor.metrics import Metrics
from monitor.types import Alert

_log = log.get(__name__)

CAPACITY = 1000
"""Undelivered messages kept; beyond it the oldest is dropped, counted."""
_BACKOFF_FIRST = 0.5
_BACKOFF_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Message:
    """One alert on its way."""

    id: str
    body: bytes
    queued_at: float
    """Monotonic seconds."""


class WebhookSink(NullSink):
    """One destination; `run` delivers, `alert` only queues."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        tiers: tuple[str, ...],
        timeout: float,
        give_up_after: float,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`name` is a metric label; `timeout` and `give_up_after` are seconds.

        Raises ValueError or RuntimeError for a bad secret.
        """
        self._name = name
        self._url = url
        self._signer = Webhook(secret)
        self._tiers = tiers
        self._timeout = timeout
        self._give_up_after = give_up_after
        self._metrics = metrics
        self._jitter = jitter
        self._queue: deque[Message] = deque()
        self._ready = asyncio.Event()
        metrics.delivery_backlog.labels(name).set_function(self._backlog)

    def alert(self, alert: Alert) -> None:
        """Queue the alert if its tier is wanted here."""
        if alert.tier not in self._tiers:
            return
        if len(self._queue) >= CAPACITY:
            self._queue.popleft()
            self._attempted("dropped")
        event = wire.cloud_event(alert, "/deepfake-monitor")
        body = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
        self._queue.append(Message(alert.idempotency_key, body, time.monotonic()))
        self._ready.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        # No redirects: a signed alert must not be sent where the operator did not say.
        async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False) as client:
            while True:
                await self._ready.wait()
                while self._queue:
                    await self._deliver(client, self._queue[0])
                self._ready.clear()

    async def _deliver(self, client: httpx.AsyncClient, message: Message) -> None:
        delay = _BACKOFF_FIRST
        while self._queue and self._queue[0] is message:
            problem = await self._attempt(client, message)
            if problem is None:
                self._attempted("delivered")
                self._forget(message)
                return
            self._attempted("failed")
            if time.monotonic() - message.queued_at > self._give_up_after:
                self._attempted("dropped")
                _log.error("webhook given up", uri=self._url, cause=problem, id=message.id)
                self._forget(message)
                return
            _log.warning("webhook failed", uri=self._url, cause=problem, id=message.id)
            await asyncio.sleep(delay * (0.5 + self._jitter()))
            delay = min(delay * 2, _BACKOFF_LIMIT)

    async def _attempt(self, client: httpx.AsyncClient, message: Message) -> str | None:
        """Return None when the receiver took the message, else why not."""
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/cloudevents+json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message.id, now, message.body.decode()),
        }
        try:
            # httpx's own limit is per phase; a receiver that trickles must not block for ever.
            async with asyncio.timeout(self._timeout):
                response = await client.post(self._url, content=message.body, headers=headers)
        except TimeoutError:
            return "timeout"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if response.is_success else f"status {response.status_code}"

    def _forget(self, message: Message) -> None:
        if self._queue and self._queue[0] is message:
            self._queue.popleft()

    def _attempted(self, outcome: str) -> None:
        self._metrics.delivery_attempts.labels(self._name, outcome).inc()

    def _backlog(self) -> float:
        return time.monotonic() - self._queue[0].queued_at if self._queue else 0.0
