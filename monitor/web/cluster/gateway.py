"""The door of a cluster: sends publishers to nodes, and shows all of them as one."""

from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import choose_encoder

from monitor.calls.admission import CapacityError
from monitor.metrics.cluster import ClusterFamilies
from monitor.runtime import log
from monitor.web.api.calls import SourceRequest
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.cluster.relay import Relay
from monitor.web.problems import Problem
from monitor.web.tickets import QUERY, Tickets

_MAX_OFFER = 256 * 1024


class Node(Protocol):
    """Where a call is to go."""

    @property
    def instance(self) -> str:
        """Its name."""

    @property
    def url(self) -> str:
        """Where clients reach it."""

    @property
    def inner_url(self) -> str:
        """Where the gateway reaches it."""


class Fleet(Protocol):
    """The cluster."""

    async def place(self, call: str) -> Node | None:
        """A node with a free slot, the same for the same call; None when there is none."""

    async def overview(self) -> dict[str, Any]:
        """Nodes, sources, tally, problems."""

    async def drain(self, instance: str, draining: bool) -> bool:
        """Give a node nothing new, or again; False if there is no such node."""

    async def forget(self, source: str) -> bool:
        """Have a source pulled no more; False if it was not wanted."""


class WantedSources(Protocol):
    """Knows what is to be pulled in clear."""

    async def want(self, request: SourceRequest) -> str:
        """Have a source pulled; return its id. Raises ValueError for what names none."""

    def open(self, sealed: str) -> dict[str, Any]:
        """What was wanted; raises ValueError."""


def whip_routes(
    fleet: Fleet,
    gatekeeper: Gatekeeper,
    tickets: Tickets,
    relay: Relay,
    signalling: Literal["redirect", "proxy"],
) -> APIRouter:
    """Return the endpoint that WHIP clients know."""
    routes = APIRouter(tags=["whip"])

    @routes.options("/whip", status_code=204)
    async def show_whip() -> Response:
        """Say what may be posted."""
        return Response(status_code=204, headers={"Accept-Post": "application/sdp"})

    @routes.post("/whip", status_code=201)
    async def publish_participant(
        request: Request, grant: Annotated[Grant, Depends(gatekeeper.require("publish"))]
    ) -> Response:
        """Send the client to a node with 307, or its offer, as settings say.

        The session is the node's: its URL is absolute and final.
        """
        node = await fleet.place(request.query_params.get("call", "")[:80])
        if node is None:
            raise CapacityError("no node has a free call slot")
        ticket = (QUERY, tickets.issue(node.instance, grant.name))
        query = urlencode([*request.query_params.multi_items(), ticket])
        if signalling == "redirect":
            where = {"Location": f"{node.url}/whip?{query}", "Cache-Control": "no-store"}
            return Response(status_code=307, headers=where)
        body = await request.body()
        if len(body) > _MAX_OFFER:
            raise Problem(413, "Too large", f"body: at most {_MAX_OFFER} bytes", field="body")
        return await relay.forward(request, f"{node.inner_url}/whip?{query}", body)

    return routes


def node_routes(fleet: Fleet, gatekeeper: Gatekeeper) -> APIRouter:
    """Return what operators and Prometheus ask."""
    routes = APIRouter(tags=["nodes"])
    control = Depends(gatekeeper.require("control"))

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The event loop answers."""
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        """A node has a free call slot; 503 while none has."""
        nodes = (await fleet.overview())["nodes"]
        free = sum(node["free_slots"] for node in nodes)
        response.status_code = 200 if free else 503
        ready = sum(node["state"] == "ready" for node in nodes)
        return {"status": "ready" if free else "full", "free_slots": free, "nodes_ready": ready}

    @routes.get("/api/v1/nodes", dependencies=[Depends(gatekeeper.require("read"))])
    async def list_nodes() -> dict[str, Any]:
        """Nodes, what went wrong since the director began, and what keeps nodes from starting."""
        found = await fleet.overview()
        return {name: found[name] for name in ("nodes", "tally", "problems")}

    @routes.get("/api/v1/nodes/targets", dependencies=[Depends(gatekeeper.require("metrics"))])
    async def list_targets() -> list[dict[str, Any]]:
        """Nodes for Prometheus (`http_sd_configs`)."""
        nodes = (await fleet.overview())["nodes"]
        return [
            {
                "targets": [node["inner_url"].partition("://")[2]],
                "labels": {"node": node["instance"]},
            }
            for node in nodes
            if node["state"] != "lost"
        ]

    async def drained(instance: str, draining: bool) -> Response:
        if not await fleet.drain(instance, draining):
            raise Problem(404, "No such node", "the node is lost or never was")
        return Response(status_code=204)

    @routes.put("/api/v1/nodes/{instance}/drain", status_code=204, dependencies=[control])
    async def drain_node(instance: str) -> Response:
        """Give a node no new call, and its pulled sources to others; `state` says when it is
        drained."""
        return await drained(instance, True)

    @routes.delete("/api/v1/nodes/{instance}/drain", status_code=204, dependencies=[control])
    async def use_node(instance: str) -> Response:
        """Use it again."""
        return await drained(instance, False)

    return routes


def metric_routes(fleet: Fleet, gatekeeper: Gatekeeper, families: ClusterFamilies) -> APIRouter:
    """Return what Prometheus scrapes here; nodes have their own."""
    routes = APIRouter(tags=["nodes"])

    @routes.get("/metrics", dependencies=[Depends(gatekeeper.require("metrics"))])
    async def expose(request: Request) -> Response:
        """Prometheus or OpenMetrics text, as asked for."""
        families.update(await fleet.overview())
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(families.registry), headers={"Content-Type": content_type})

    return routes


def source_routes(fleet: Fleet, gatekeeper: Gatekeeper, wishes: WantedSources) -> APIRouter:
    """Return what is pulled, by whichever node."""
    routes = APIRouter(prefix="/api/v1/sources", tags=["sources"])
    control = Depends(gatekeeper.require("control"))

    @routes.post("", status_code=201, dependencies=[control])
    async def add_source(body: SourceRequest, response: Response) -> dict[str, str]:
        """Have a stream pulled on any node, until it ends or is given up (`give_up_after`).

        Answers at once; `flowing` says when media has come.
        """
        if body.sdp:
            detail = "sdp: describes media that is sent to one machine; give it to a node's own API"
            raise Problem(422, "Invalid request", detail, field="sdp")
        try:
            source = await wishes.want(body)
        except ValueError as error:
            raise Problem(422, "Invalid request", str(error), field="uri") from error
        response.headers["Location"] = f"/api/v1/sources/{source}"
        return {"id": source}

    @routes.get("", dependencies=[Depends(gatekeeper.require("read"))])
    async def list_sources() -> list[dict[str, Any]]:
        """Streams that are to be pulled, with the node and the call of each."""
        return [_shown(found, wishes) for found in (await fleet.overview())["sources"]]

    @routes.delete("/{source}", status_code=204, dependencies=[control])
    async def remove_source(source: str) -> Response:
        """Have it pulled no more."""
        if not await fleet.forget(source):
            raise Problem(404, "No such source", "it is not pulled")
        return Response(status_code=204)

    return routes


def _shown(found: dict[str, Any], wishes: WantedSources) -> dict[str, Any]:
    """A source without what must not be shown."""
    shown = {k: v for k, v in found.items() if k != "sealed"}
    shown["call"] = f"{found['id']}.{found['epoch']}" if found["node"] is not None else None
    try:
        wanted = wishes.open(found["sealed"])
    except ValueError as error:
        return {**shown, "problem": str(error)}
    uri = log.redact(wanted["uri"])
    return {**shown, "uri": uri, "participant": wanted["participant"], "label": wanted["label"]}
