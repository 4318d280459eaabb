"""One WebSocket to Zoom: JSON objects go and come, and it leads to no other host than was meant."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.connection.trust import Trust
from monitor.ingest.meetings.rtms_messages import Kind, kept_alive
from monitor.ingest.telephony.dialect import MessageError, read_object
from monitor.runtime import log
from monitor.runtime.log import redact
from monitor.types.protocols import SourceError

_log = log.get(__name__)

LARGEST = 4 * 1024 * 1024
"""Bytes of one message: a key frame at full HD, in base64."""
_GOODBYE = 0.5
"""Seconds."""


class Link:
    """A connection that is up."""

    def __init__(
        self, connection: ClientConnection, uri: str, note: Callable[[Anomaly], None]
    ) -> None:
        """`note` hears of what cannot be read."""
        self._connection = connection
        self._uri = uri
        self._note = note
        self.size = 0
        """Bytes of the latest message."""

    async def send(self, text: str) -> None:
        """Send a message; that nobody is there any more is heard by `receive`."""
        try:
            await self._connection.send(text)
        except ConnectionClosed:
            return

    async def receive(self, timeout: float) -> dict[str, Any] | None:
        """Return the next message that can be read, or None once the connection has ended.

        Raises TimeoutError if nothing came for `timeout` seconds.
        """
        while True:
            try:
                async with asyncio.timeout(timeout):
                    data = await self._connection.recv()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else None
                _log.info("zoom connection closed", uri=self._uri, code=code)
                return None
            self.size = len(data)
            try:
                # Zoom's own software writes JSON into binary messages.
                return read_object(data if isinstance(data, str) else data.decode())
            except UnicodeDecodeError:
                self._note(Anomaly(AnomalyKind.MESSAGE, "message", "not UTF-8"))
            except MessageError as error:
                self._note(error.anomaly)

    async def shake(self, request: str, due: Kind, timeout: float) -> dict[str, Any]:
        """Send a request and return its answer; raises SourceError for a refusal."""
        await self.send(request)
        shown = redact(self._uri)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    answer = await self.receive(timeout)
                    if answer is None:
                        raise SourceError("unavailable", f"{shown}: closed instead of an answer")
                    if answer.get("msg_type") == Kind.KEEP_ALIVE:
                        await self.send(kept_alive(answer))
                    elif answer.get("msg_type") == due:
                        break
        except TimeoutError:
            raise SourceError("unreachable", f"{shown}: no answer to the handshake") from None
        status = answer.get("status_code")
        if status != 0:
            words = f"{shown}: handshake refused, status {str(status)[:20]}"
            raise SourceError("refused", words)
        return answer


@asynccontextmanager
async def dialled(
    url: str,
    trust: Trust,
    context: ssl.SSLContext,
    timeout: float,
    note: Callable[[Anomaly], None],
) -> AsyncIterator[Link]:
    """Connect within `timeout` seconds; raises SourceError in words that hold no secret."""
    shown = redact(url)
    try:
        connection = await _Straight(
            url,
            ssl=context if url.startswith("wss:") else None,
            proxy=None,
            # What is packed would be unpacked before its length is known.
            compression=None,
            max_size=LARGEST,
            open_timeout=timeout,
            # Both ends ask for each other by messages of their own.
            ping_interval=None,
            # A call is over when it is, however long the other end takes to say goodbye.
            close_timeout=_GOODBYE,
        )
    except TimeoutError:
        raise SourceError("unreachable", f"{shown}: no answer in time") from None
    except ssl.SSLError as error:
        fault = trust.explain(error, urlsplit(url).hostname or "")
        raise SourceError("untrusted", f"{shown}: {fault}") from None
    except (OSError, WebSocketException) as error:
        raise SourceError("unreachable", f"{shown}: {type(error).__name__}") from None
    try:
        yield Link(connection, url, note)
    finally:
        await connection.close()


class _Straight(connect):
    """A connection to the host that was allowed, and to no other that it names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect."""
        return exc
