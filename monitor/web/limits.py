"""What one client may take up: time for a request's head, time and memory for its body."""

import asyncio
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For the head of the first request, and of each that follows on a connection."""
BODY_SECONDS = 30.0
BODY_BYTES = 256 * 1024
"""No JSON and no SDP that makes sense is longer."""


class PatientHttp(H11Protocol):
    """Uvicorn's own protocol, which waits for ever for a request that is never sent or finished."""

    head_seconds = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request; not every part completes its head."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        # A connection that has become a WebSocket has another protocol by now.
        if self.transport.get_protocol() is self:
            self.transport.close()


class BodyLimit:
    """Refuses bodies that are too long or too slow, before anything keeps them.

    Needed because a JSON body is read whole before the request's token is looked at.
    """

    def __init__(
        self,
        app: ASGIApp,
        exempt: Sequence[str] = (),
        most_bytes: int = BODY_BYTES,
        seconds: float = BODY_SECONDS,
    ) -> None:
        """`exempt`: paths whose handlers see to it themselves."""
        self._app = app
        self._exempt = frozenset(exempt)
        self._most_bytes = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        size, done = 0, False

        async def limited() -> Message:
            nonlocal size, done
            if done:
                # What comes now says that the client has gone.
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"body: not within {self._seconds:g} s") from None
            size += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if size > self._most_bytes:
                raise HTTPException(413, f"body: at most {self._most_bytes} bytes")
            return message

        await self._app(scope, limited, send)
