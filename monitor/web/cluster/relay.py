"""Hands requests on to nodes, and makes one event stream of theirs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from monitor.runtime.tasks import begin, ended
from monitor.web.problems import Problem

_UP = ("authorization", "content-type", "accept", "if-match", "range")
"""Headers of a request that nodes should see: they know the same tokens."""
_DOWN = (
    "content-type", "location", "etag", "accept-patch", "x-call-id", "retry-after",
    "cache-control", "content-disposition", "www-authenticate",
)  # fmt: skip
_QUEUED = 1000
"""Events that wait for a slow reader; beyond it the nodes' own streams count what it misses."""
_LOOK = 2.0
"""Seconds between two looks for nodes that a reader does not hear yet."""


class Relay:
    """Speaks to nodes in the name of clients."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=3.0), trust_env=False)

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def get(self, request: Request, url: str) -> httpx.Response | None:
        """A node's whole answer to a GET; None if the node does not answer."""
        try:
            return await self._http.get(url, headers=_headers(request), timeout=5.0)
        except httpx.TransportError:
            return None

    async def forward(self, request: Request, url: str, body: bytes | None = None) -> Response:
        """Send the request on and answer what comes back; raises Problem.

        `body`: what has been read of it already; None for all that comes.
        """
        onward = self._http.build_request(
            request.method,
            url,
            headers=_headers(request),
            content=request.stream() if body is None else body,
        )
        try:
            answer = await self._http.send(onward, stream=True)
        except httpx.TransportError as error:
            detail = f"the call's node does not answer: {type(error).__name__}"
            raise Problem(503, "Node not reachable", detail, {"Retry-After": "5"}) from error
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            headers={k: answer.headers[k] for k in _DOWN if k in answer.headers},
            background=BackgroundTask(answer.aclose),
        )

    async def events(
        self, request: Request, nodes: Callable[[], Awaitable[list[str]]]
    ) -> AsyncIterator[bytes]:
        """The events of all nodes until cancelled, of those too that join meanwhile.

        `nodes` gives their URLs.
        """
        queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        readers: dict[str, asyncio.Task[None]] = {}
        try:
            yield b": connected\n\n"
            looked = 0.0
            while True:
                now = asyncio.get_running_loop().time()
                if now - looked >= _LOOK:
                    looked = now
                    for node in await nodes():
                        if node not in readers or readers[node].done():
                            work = self._follow(request, node, queue)
                            readers[node] = begin("relay", work)
                try:
                    async with asyncio.timeout(_LOOK):
                        yield await queue.get()
                except TimeoutError:
                    # A comment, so that proxies do not close a quiet stream.
                    yield b":\n\n"
        finally:
            await ended(*readers.values())

    async def _follow(self, request: Request, node: str, queue: asyncio.Queue[bytes]) -> None:
        url = f"{node}/api/v1/events"
        patience = httpx.Timeout(None, connect=3.0)
        onward = self._http.build_request(
            "GET", url, params=request.query_params, headers=_headers(request), timeout=patience
        )
        try:
            answer = await self._http.send(onward, stream=True)
            async with contextlib.aclosing(answer):
                rest = b""
                async for part in answer.aiter_bytes():
                    *events, rest = (rest + part).split(b"\n\n")
                    for event in events:
                        if not event.startswith(b":"):
                            await queue.put(event + b"\n\n")
        except httpx.TransportError:
            # It is gone, or was stopped; the next look finds it again if it comes back.
            return


def _headers(request: Request) -> dict[str, str]:
    return {name: request.headers[name] for name in _UP if name in request.headers}
