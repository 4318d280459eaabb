"""The API describes itself, and answers as it says."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.service.app import Service
from monitor.settings import load
from monitor.types import Abstention, AbstentionReason, Gap, LostReason, Score, Span
from monitor.web.api.events import EVENTS, EventStream
from monitor.web.auth import digest
from tests.alerts import alert
from tests.contract import Contract

SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtMTIzNA=="
SETTINGS: dict[str, Any] = {
    "server": {
        "tokens": [
            {
                "name": "desk",
                "sha256": digest("token"),
                "scopes": ["publish", "read", "review", "control", "metrics"],
            }
        ]
    },
    "webhooks": [{"name": "desk", "url": "http://127.0.0.1:9/", "secret": SECRET}],
    "allowed": [
        {"name": "ivr", "label": "ivr", "reason": "announcements", "until": "2100-01-01T00:00:00Z"}
    ],
    "evidence": {"record": [{}]},
}
ABSTAINED = Abstention(
    detector="voice",
    participant="remote",
    span=Span(0, 3),
    fresh=Span(2, 3),
    lost=(Gap("remote", Span(2, 2.5), LostReason.NETWORK),),
    quality={"speech_seconds": 0.1, "snr_db": math.nan},
    details={"level": 1.0},
    reason=AbstentionReason.TOO_LITTLE_SPEECH,
)
SCORED = Score(
    detector="voice",
    participant="remote",
    span=Span(0, 3),
    fresh=Span(0, 3),
    value=2.0,
    llr=math.inf,
    model="abc",
    calibration="def",
)
EMPTY = {"GET /api/v1/sources", "GET /api/v1/alerts/{alert_id}/evidence"}
"""Lists that stay empty here; the end-to-end tests fill them, and check what they hold."""
UNTRIED = {"GET /api/v1/evidence/{bundle_id}/verification"}
"""Likewise."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    found = Service(load(None, state_dir=tmp_path, **SETTINGS))
    async with found.app.router.lifespan_context(found.app):
        yield found


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer token"}
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://monitor", headers=headers
    ) as found:
        yield found


def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, found in description["paths"].items()
        for method, operation in found.items()
    }


async def test_every_operation_says_what_it_answers(client: httpx.AsyncClient) -> None:
    description = (await client.get("/openapi.json")).json()
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for name, operation in operations(description).items():
        assert operation["description"], name
        success = {s: a for s, a in operation["responses"].items() if s.startswith("2")}
        assert len(success) == 1, name
        for content in (a.get("content", {}) for a in success.values()):
            assert content.get("application/json", {"schema": True})["schema"], name
        secured = [list(s["token"]) for s in operation.get("security", [])]
        public = name.rpartition("/")[2] in ("healthz", "readyz") or name == "OPTIONS /whip"
        assert [len(scopes) for scopes in secured] == ([] if public else [1]), name
        assert {"401", "403"} <= set(operation["responses"]) or public, name
        for status, answer in operation["responses"].items():
            if status >= "4" and name not in ("GET /readyz", "GET /healthz"):
                (schema,) = [c["schema"] for c in answer["content"].values()]
                assert schema == {"$ref": "#/components/schemas/ProblemRecord"}
    for name, schema in description["components"]["schemas"].items():
        assert schema.get("description") or name.endswith("Request"), name


async def test_answers_are_as_described(
    service: Service, client: httpx.AsyncClient, recording: Path
) -> None:
    contract = Contract((await client.get("/openapi.json")).json())

    async def ask(path: str, method: str = "GET", status: int = 200, **more: Any) -> Any:
        response = await client.request(method, path, **more)
        assert response.status_code == status, response.text
        return contract.holds(response)

    async def until(done: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(120):
            while not await done():  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def seen() -> bool:
        call_ = await ask(f"/api/v1/calls/{call}")
        sound = await ask(f"{view}/spectrogram")
        return bool(call_["participants"] and call_["participants"][0]["verdict"]) and bool(
            sound["pieces"] and (await ask(f"{view}/face"))["enabled"]
        )

    with recording.open("rb") as file:
        content = file.read()
    live = {"pace": "live"}
    call = (await ask("/api/v1/recordings", "POST", 201, content=content, params=live))["id"]
    view = f"/api/v1/calls/{call}/previews/remote"
    await until(seen)
    pause = f"/api/v1/calls/{call}/participants/remote/pause"
    await ask(pause, "POST", 422, json={})
    await ask(pause, "POST", 409, json={"reason": "consent"})
    told = replace(alert(1, call=call), evidence=(SCORED,))
    service.alerting.outbox.alert(told)
    await until(lambda: ask("/api/v1/alerts"))
    await until(lambda: ask(f"/api/v1/calls/{call}/timeline"))
    review = {"alert": told.id, "outcome": "true_fake", "reason": "called back"}
    await ask("/api/v1/reviews", "POST", 201, json=review)
    held = await client.put(f"/api/v1/alerts/{told.id}/hold", json={"reason": "law"})
    assert held.status_code == 204
    await ask("/api/v1/sources", "POST", 422, json={"uri": "rtsp://"})
    await ask("/api/v1/deliveries/7/retry", "POST", 404)
    tried = set(contract.kept)
    for name, operation in operations((await client.get("/openapi.json")).json()).items():
        answers = operation["responses"].get("200", {}).get("content", {})
        if name in UNTRIED or not name.startswith("GET") or "application/json" not in answers:
            continue
        path = name.removeprefix("GET ").replace("{call_id}", call)
        path = path.replace("{participant}", "remote").replace("{alert_id}", told.id)
        found = await ask(path)
        assert found or name in EMPTY, name
        tried.add(name)
    assert len(tried) > 20


def test_a_field_that_is_not_described_is_a_fault() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    contract = Contract({"components": {"schemas": {"Thing": schema}}, "paths": {}})
    thing = {"$ref": "#/components/schemas/Thing"}
    contract.fits({"a": 1}, thing, "")
    for wrong, says in [({"a": 1, "b": 2}, "'b' was unexpected"), ({"a": "1"}, "'1'"), ({}, "'a'")]:
        with pytest.raises(AssertionError, match=says):
            contract.fits(wrong, thing, "")


async def test_events_are_as_described(client: httpx.AsyncClient) -> None:
    description = (await client.get("/openapi.json")).json()
    contract = Contract(description)
    answer = operations(description)["GET /api/v1/events"]["responses"]["200"]
    schemas = answer["content"]["text/event-stream"]["x-events"]
    stream, told = EventStream(), alert(1)
    reader = stream.subscribe(None)
    heard = [await anext(reader)]
    next_ = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    stream.call_started(told.call, "rtsp", "remote")
    stream.window(told.call, SCORED)
    stream.window(told.call, ABSTAINED)
    stream.face(told.call, "remote", 1.0, True)
    stream.verdict(told.call, told.verdict)
    stream.paused(told.call, "remote", 2.0, "consent")
    stream.paused(told.call, "remote", 3.0, None)
    stream.alert(told)
    stream.call_ended(told.call, "ended")
    stream.close()
    heard += [await next_, *[event async for event in reader]]
    seen = []
    for text in heard[1:]:
        event, data = re.fullmatch(r"event: (\w+)\ndata: (.+)\n\n", text).groups()  # type: ignore[union-attr]
        contract.fits(json.loads(data), schemas[event], event)
        seen.append(event)
    assert [seen.count(kind) for kind in EVENTS] == [2, 2, 1, 1, 1, 1, 1, 0]
