"""How a node of a cluster is reached: under a URL of its own, by whom a gateway sends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.auth import BEARER, Gatekeeper
from monitor.web.tickets import QUERY, Tickets


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a node is, and whose tickets it takes."""

    url: str = ""
    """Before paths of this process, in what clients are told; without it they are relative."""
    node: str = ""
    tickets: Tickets | None = None

    def publish(self, gatekeeper: Gatekeeper) -> Callable[..., Awaitable[str]]:
        """Return a dependency that lets in who has a ticket, or a token that may publish.

        It gives the token's name.
        """

        async def check(
            request: Request,
            given: Annotated[
                HTTPAuthorizationCredentials | None, Security(BEARER, scopes=["publish"])
            ],
        ) -> str:
            ticket = request.query_params.get(QUERY)
            if ticket is not None and self.tickets is not None:
                return self.tickets.redeem(ticket, self.node)
            return gatekeeper.enter(request, given, "publish").name

        return check


class OpenWhip:
    """Lets pages of any origin speak WHIP to a node.

    A redirect from another origin arrives with the origin `null`. The gateway has seen to it that
    the page may publish, and nothing here is granted by cookies: without ticket or token a page
    gets nothing.
    """

    _HEADERS = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
        "Access-Control-Expose-Headers": "Location, ETag, Link, X-Call-Id, Retry-After",
        "Access-Control-Max-Age": "600",
    }

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what is answered may be read by any page."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == "/whip" or path.startswith("/whip/")):
            await self._app(scope, receive, send)
            return

        async def opened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["method"] == "OPTIONS":
            head = {"type": "http.response.start", "status": 204, "headers": []}
            await opened(head)
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, opened)
