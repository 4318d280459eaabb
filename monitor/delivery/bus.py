"""Alerts → message brokers: one connection, made when it is needed and left at the first trouble.

Clients of brokers keep what they could not send and send it after a reconnection, while the outbox
sends it again as well. So nothing here outlives its connection: a client that failed is thrown away
with all it holds, and the outbox alone decides what is sent again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from monitor.schema import wire
from monitor.schema.messages import Message

CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a broker; nothing of it is shown."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Connection(Protocol):
    """A broker that can be told something."""

    @property
    def alive(self) -> bool:
        """Whether it is worth a try."""

    async def publish(self, key: str, body: bytes) -> None:
        """Return once the broker has taken it; raises DeliveryError."""

    async def close(self) -> None:
        """Say goodbye."""

    def abort(self) -> None:
        """Let go at once: nothing that waits is sent any more."""


class BusDestination:
    """One broker."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        """`connect` raises DeliveryError."""
        self._connect = connect
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """Publish it as a CloudEvent, structured mode, under its idempotency key."""
        event = wire.cloud_event(message.record, "/deepfake-monitor")
        body = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
        connection = await self._connected()
        try:
            await connection.publish(message.key, body)
        except BaseException:
            # Also when the deadline is over: what was not acknowledged must not leave later.
            connection.abort()
            raise

    async def run(self) -> None:
        """Nothing is to be done between messages."""

    async def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.alive:
            await connection.close()

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._connection is not None and not self._connection.alive:
                self._connection.abort()
                self._connection = None
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection
