"""What every response carries: nothing is loaded or leaked elsewhere, and who may read it."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.limits import BodyLimit

_PRIVATE = ("/api/", "/whip", "/metrics", "/login")
"""Paths below which answers concern calls or people: nobody on the way may keep them."""


class SecurityHeaders:
    """Adds them to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to its response."""

        private = scope.get("path", "").startswith(_PRIVATE)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message.get("headers", [])}
                if private and b"cache-control" not in given:
                    message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


def protect(app: FastAPI, origins: Sequence[str], unlimited: tuple[str, ...] = ()) -> None:
    """Bound requests' bodies, but for paths in `unlimited`; let pages of `origins` ask, too."""
    app.add_middleware(BodyLimit, exempt=unlimited)
    app.add_middleware(SecurityHeaders)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "If-Match"],
            expose_headers=["Location", "ETag", "Link", "X-Call-Id", "Retry-After"],
        )
