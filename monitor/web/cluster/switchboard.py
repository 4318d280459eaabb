"""The calls of all nodes as one list, and each request about one handed to the node that has it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from monitor.store.store import Store
from monitor.web.auth import Gatekeeper
from monitor.web.cluster.gateway import Fleet
from monitor.web.cluster.relay import Relay
from monitor.web.problems import Problem


def call_routes(fleet: Fleet, gatekeeper: Gatekeeper, store: Store, relay: Relay) -> APIRouter:
    """Return calls and all that nodes serve about them."""
    routes = APIRouter(prefix="/api/v1")
    read = Depends(gatekeeper.require("read"))

    async def nodes() -> dict[str, str]:
        """URL by instance of nodes that answer."""
        found = (await fleet.overview())["nodes"]
        return {n["instance"]: n["inner_url"] for n in found if n["state"] != "lost"}

    async def locate(request: Request, call_id: str) -> tuple[str, Any] | None:
        """URL of the node that has the call, and the call as it shows it; None if none has."""
        there = await nodes()
        kept = there.get(await store.calls.instance(call_id) or "")
        # A call that has just begun is not kept yet.
        urls = [kept] if kept is not None else list(there.values())
        answers = await asyncio.gather(
            *(relay.get(request, f"{url}/api/v1/calls/{call_id}") for url in urls)
        )
        for url, answer in zip(urls, answers, strict=True):
            if answer is not None and answer.status_code == 200:
                return url, answer.json()
        return None

    @routes.get("/calls", dependencies=[read])
    async def list_calls(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        active: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Calls in progress on every node, then kept ones, newest first."""
        found: list[dict[str, Any]] = []
        if active is not False:
            there = await nodes()
            ask = f"/api/v1/calls?active=true&limit={limit}"
            answers = await asyncio.gather(*(relay.get(request, u + ask) for u in there.values()))
            for instance, answer in zip(there, answers, strict=True):
                if answer is not None and answer.status_code == 200:
                    found += [{**call, "node": instance} for call in answer.json()]
            found = found[:limit]
        if active is not True and len(found) < limit:
            ids = [call["id"] for call in found]
            found += [
                {**c, "node": None} for c in await store.calls.latest(limit - len(found), ids)
            ]
        return found

    @routes.get("/events", dependencies=[read])
    async def stream(request: Request) -> StreamingResponse:
        """Live events of all nodes."""

        async def urls() -> list[str]:
            return list((await nodes()).values())

        events: AsyncIterator[bytes] = relay.events(request, urls)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    @routes.get("/alerts", dependencies=[read])
    async def list_alerts(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100, call: str | None = None
    ) -> list[Any]:
        """Alert messages of all nodes, newest first."""
        return list(await store.alerts.latest(limit, call))

    @routes.get("/calls/{call_id}/timeline", dependencies=[read])
    async def get_timeline(call_id: str, participant: str | None = None) -> list[Any]:
        """A call's windows as far as they are kept."""
        if await store.calls.find(call_id) is None:
            raise _no_such_call()
        return list(await store.calls.timeline(call_id, participant))

    @routes.get("/calls/{call_id}", dependencies=[read])
    async def get_call(request: Request, call_id: str) -> Any:
        """One call: from its node while it goes on, then as it is kept."""
        found = await store.calls.find(call_id)
        if found is None or found["ended"] is None:
            live = await locate(request, call_id)
            if live is not None:
                return live[1]
        if found is None:
            raise _no_such_call()
        return found

    @routes.api_route("/calls/{call_id}{rest:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def ask_node_of_call(request: Request, call_id: str) -> Response:
        """All else about a call: its node answers, which knows the tokens too."""
        found = await locate(request, call_id)
        if found is None:
            raise _no_such_call()
        return await relay.forward(request, _onward(request, found[0]))

    @routes.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def ask_any_node(request: Request) -> Response:
        """What lies in the database, or is the same everywhere: any node answers."""
        url = next(iter((await nodes()).values()), None)
        if url is None:
            raise Problem(503, "No node", "no node is there to answer", {"Retry-After": "10"})
        return await relay.forward(request, _onward(request, url))

    return routes


def _onward(request: Request, url: str) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{url}{request.url.path}{query}"


def _no_such_call() -> Problem:
    return Problem(404, "No such call", "the call was never here or is long over")
