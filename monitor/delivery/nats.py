"""NATS with JetStream (extra `nats`): a message counts as taken when a stream has stored it."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error, NoServersError
from nats.js.errors import APIError, NoStreamResponseError

from monitor.delivery.bus import CONTENT_TYPE, Login
from monitor.runtime.tasks import awaited, begin
from monitor.schema.messages import DeliveryError

CONNECT_TIMEOUT = 10
"""Seconds for each of the steps of a connection."""
_GOODBYE = 1.0
"""Seconds for the end of a connection."""
_FOREVER = 86_400.0
"""Seconds; the courier sets the deadline for the whole attempt."""
_LONGEST = 200
"""Characters kept of what a server says."""
_PORT = 4222


class NatsServer:
    """Where alerts are published: a URL, a subject, and who we are."""

    def __init__(
        self, url: str, subject: str, stream: str | None, login: Login, tls: ssl.SSLContext
    ) -> None:
        """With a `stream`, any other that takes the subject is a failure."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        self._url = f"{parts.scheme}://{host}:{parts.port or _PORT}"
        self._tls = tls
        self._secret = parts.scheme == "tls"
        self._subject = subject
        self._stream = stream
        self._login = login

    async def connect(self) -> "NatsConnection":
        """Connect and log in; raises DeliveryError."""
        client = _Client(self._secret)
        connection = NatsConnection(client, self._subject, self._stream)
        try:
            await client.connect(
                self._url,
                error_cb=connection.heard,
                tls=self._tls,
                user=self._login.username,
                password=self._login.password,
                token=self._login.token,
                name="deepfake-monitor",
                allow_reconnect=False,
                connect_timeout=CONNECT_TIMEOUT,
                # Or it tries for ever.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
            )
        except BaseException as error:
            connection.abort()
            if isinstance(error, NoServersError) and connection.trouble is not None:
                error = connection.trouble
            if isinstance(error, Exception):
                raise _failure(error) from error
            raise
        return connection


class _Client(Client):
    """nats-py's, which neither goes on in plain text nor sends anything after it was given up."""

    def __init__(self, secret: bool) -> None:
        super().__init__()
        self._secret = secret

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # Before the credentials are sent. Without this, `tls://` to a server that says it has no
        # TLS goes on in plain text.
        if initial_connection and self._secret and not info.get("tls_required"):
            raise Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)

    def drop(self) -> None:
        """Close the socket with all that waits for it."""
        self._pending, self._pending_data_size = [], 0
        writer = getattr(self._transport, "_bare_io_writer", None)
        if writer is not None:
            writer.transport.abort()


class NatsConnection:
    """One client, which is used for one connection only."""

    def __init__(self, client: _Client, subject: str, stream: str | None) -> None:
        self._client = client
        self._subject = subject
        self._stream = stream
        self._dropped = False
        self._waiting: set[asyncio.Task[object]] = set()
        self.trouble: Exception | None = None
        """What the client reported last."""

    @property
    def alive(self) -> bool:
        """Whether it is connected."""
        return self._client.is_connected and not self._dropped

    async def heard(self, error: Exception) -> None:
        """Take what the client reports outside of any call: some refusals are told so only."""
        self.trouble = error
        for task in self._waiting:
            task.cancel()

    async def publish(self, key: str, body: bytes) -> None:
        """Publish under the message's id: a stream stores each id once in its window."""
        headers = {"Nats-Msg-Id": key, "Content-Type": CONTENT_TYPE}
        stream = self._client.jetstream(timeout=_FOREVER)
        storing = awaited(
            "delivery", stream.publish(self._subject, body, stream=self._stream, headers=headers)
        )
        self._waiting.add(storing)
        try:
            await asyncio.wait([storing])
        finally:
            self._waiting.discard(storing)
            storing.cancel()
        if storing.cancelled():
            raise _failure(self.trouble or Error("connection lost"))
        error = storing.exception()
        if isinstance(error, Exception):
            raise _failure(error) from error

    async def close(self) -> None:
        """Say goodbye."""
        self._dropped = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._client.close()
        self._client.drop()

    def abort(self) -> None:
        """Let go at once."""
        if not self._dropped:
            self._dropped = True
            self._client.drop()
            begin("delivery", self.close())


def _failure(error: Exception) -> DeliveryError:
    """What went wrong; texts are kept only of the server's, and of those that are ours."""
    match error:
        case NoStreamResponseError():
            return DeliveryError("no stream takes the subject")
        case APIError():
            said = f"{error.code} {error.description}"
        case ssl.SSLError():
            said = f"TLS {error.reason or type(error).__name__}"
        case Error() if type(error) is Error:
            said = str(error)
        case _:
            said = type(error).__name__
    return DeliveryError(" ".join(said.split())[:_LONGEST])
