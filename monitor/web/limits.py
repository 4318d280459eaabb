"""What the body of one request may take up: time and memory."""

import asyncio
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SECONDS = 30.0
BODY_BYTES = 256 * 1024
"""No JSON and no SDP that makes sense is longer."""


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
