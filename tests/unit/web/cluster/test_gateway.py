"""The gateway's own answers, with a cluster that is made up."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from monitor.cluster.lease import Standing
from monitor.cluster.seal import Seal, key
from monitor.metrics.cluster import ClusterFamilies
from monitor.web import problems
from monitor.web.api.calls import SourceRequest
from monitor.web.auth import Gatekeeper, Grant, digest
from monitor.web.cluster import gateway
from monitor.web.cluster.relay import Relay
from monitor.web.entrance import OpenWhip
from monitor.web.tickets import Tickets

TICKETS = Tickets(key("s" * 32, "tickets"), 30)
SEAL = Seal("s" * 32)
NODE = Standing("n", "https://n.example", "http://192.0.2.1:8090")
SDP = {"Content-Type": "application/sdp"}


@dataclass
class MadeUpFleet:
    node: Standing | None = NODE
    drained: list[tuple[str, bool]] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    async def place(self, call: str) -> Standing | None:
        self.placed.append(call)
        return self.node

    async def overview(self) -> dict[str, Any]:
        free = 3 if self.node else 0
        states = (("n", "ready", free), ("m", "lost", 0))
        return {
            "nodes": [
                {"instance": i, "url": "", "inner_url": f"http://{i}.inner:8090", "state": s,
                 "calls": 1, "free_slots": f}
                for i, s, f in states
            ],
            "sources": [
                {"id": i, "sealed": s, "node": "n", "epoch": 3, "ended": None, "flowing": True,
                 "lost_seconds": 0.0}
                for i, s in self.sources.items()
            ],
            "tally": {"nodes_lost": 1, "calls_interrupted": 2, "seconds_lost": 7.5,
                      "leases_moved": 1},
            "problems": {},
        }  # fmt: skip

    async def drain(self, instance: str, draining: bool) -> bool:
        self.drained.append((instance, draining))
        return instance == "n"

    async def forget(self, source: str) -> bool:
        return self.sources.pop(source, None) is not None

    async def want(self, request: SourceRequest) -> str:
        self.sources["s1"] = SEAL.close(request.model_dump())
        return "s1"

    def open(self, sealed: str) -> dict[str, Any]:
        return SEAL.open(sealed)


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet()


@pytest.fixture
async def client(fleet: MadeUpFleet) -> AsyncIterator[httpx.AsyncClient]:
    scopes = frozenset({"publish", "read", "control", "metrics"})
    gatekeeper = Gatekeeper([Grant("phone", digest("good"), scopes)])
    app = FastAPI()
    problems.install(app)
    relay = Relay()
    app.include_router(gateway.whip_routes(fleet, gatekeeper, TICKETS, relay, "redirect"))
    app.include_router(gateway.node_routes(fleet, gatekeeper))
    app.include_router(gateway.metric_routes(fleet, gatekeeper, ClusterFamilies()))
    app.include_router(gateway.source_routes(fleet, gatekeeper, fleet))
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers
    ) as found:
        yield found
    await relay.close()


async def test_a_publisher_is_sent_on_with_a_ticket(
    client: httpx.AsyncClient, fleet: MadeUpFleet
) -> None:
    sent = {"participant": "alice", "call": "room 7"}
    answer = await client.post("/whip", params=sent, content="v=0", headers=SDP)
    assert answer.status_code == 307
    where = urlsplit(answer.headers["location"])
    query = {name: values[0] for name, values in parse_qs(where.query).items()}
    assert f"{where.scheme}://{where.netloc}{where.path}" == "https://n.example/whip"
    TICKETS.redeem(query.pop("ticket"), "n")
    assert query == sent
    assert fleet.placed == ["room 7"]
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_slot_it_says_when_to_come_back(
    client: httpx.AsyncClient, fleet: MadeUpFleet
) -> None:
    fleet.node = None
    answer = await client.post("/whip", content="v=0", headers=SDP)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "full")


async def test_nobody_is_sent_on_without_a_token(
    client: httpx.AsyncClient, fleet: MadeUpFleet
) -> None:
    for path in ("/api/v1/nodes", "/api/v1/nodes/targets", "/api/v1/sources", "/metrics"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 401
    answer = await client.post("/whip", content="v=0", headers={**SDP, "Authorization": "Bearer x"})
    assert answer.status_code == 401
    assert fleet.placed == [], "no slot is taken for them"


async def test_lost_nodes_are_no_targets(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/nodes/targets")).json() == [
        {"targets": ["n.inner:8090"], "labels": {"node": "n"}}
    ]
    text = (await client.get("/metrics")).text
    for sample in (
        'monitor_cluster_nodes{state="lost"} 1.0', "monitor_cluster_slots_free 3.0",
        "monitor_cluster_seconds_lost_total 7.5",
    ):  # fmt: skip
        assert sample in text


async def test_nodes_are_drained_and_used_again(
    client: httpx.AsyncClient, fleet: MadeUpFleet
) -> None:
    assert (await client.put("/api/v1/nodes/n/drain")).status_code == 204
    assert (await client.delete("/api/v1/nodes/n/drain")).status_code == 204
    assert fleet.drained == [("n", True), ("n", False)]
    assert (await client.put("/api/v1/nodes/x/drain")).status_code == 404


async def test_a_source_is_shown_without_its_credentials(client: httpx.AsyncClient) -> None:
    wanted = {"uri": "rtsp://user:hunter2@camera/stream", "label": "door", "token": "geheim"}
    answer = await client.post("/api/v1/sources", json=wanted)
    assert (answer.status_code, answer.headers["location"]) == (201, "/api/v1/sources/s1")
    answer = await client.get("/api/v1/sources")
    assert "hunter2" not in answer.text
    assert "geheim" not in answer.text
    (shown,) = answer.json()
    assert (shown["uri"], shown["call"]) == ("rtsp://camera/...", "s1.3")
    assert "sealed" not in shown
    assert (await client.delete("/api/v1/sources/s1")).status_code == 204
    assert (await client.delete("/api/v1/sources/s1")).status_code == 404
    described = await client.post("/api/v1/sources", json={"sdp": "v=0"})
    assert (described.status_code, described.json()["field"]) == (422, "sdp")


async def test_a_node_answers_pages_of_any_origin_on_whip_alone() -> None:
    app = FastAPI()
    problems.install(app)

    @app.post("/whip")
    async def post() -> None:
        """Nothing."""

    @app.get("/api/v1/calls")
    async def calls() -> None:
        """Nothing."""

    app.add_middleware(OpenWhip)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        headers = {"Origin": "null", "Access-Control-Request-Method": "POST"}
        preflight = await client.options("/whip?ticket=x", headers=headers)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        answer = await client.post("/whip", headers={"Origin": "null"})
        assert "Location" in answer.headers["access-control-expose-headers"]
        other = await client.get("/api/v1/calls", headers={"Origin": "null"})
        assert "access-control-allow-origin" not in other.headers
