"""The HTTP interface: who may do what, and what errors look like."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from monitor import web
from monitor.runtime import log
from monitor.service.app import Service
from monitor.settings import load
from monitor.web.auth import digest

SCOPES = ("publish", "read", "review", "control", "metrics")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One service for all: none of these tests leaves anything behind."""
    tokens = [{"name": s, "sha256": digest(f"{s}-token"), "scopes": [s]} for s in SCOPES]
    folder = tmp_path_factory.mktemp("state")
    service = Service(load(None, state_dir=folder, server={"tokens": tokens}))
    transport = httpx.ASGITransport(service.app)
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://monitor") as found,
    ):
        yield found


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {scope}-token"}


ROUTES = [
    ("GET", "/api/v1/calls", "read", 200),
    ("GET", "/api/v1/calls/none", "read", 404),
    ("GET", "/api/v1/calls/none/timeline", "read", 404),
    ("GET", "/api/v1/calls/none/history", "read", 200),
    ("GET", "/api/v1/calls/none/previews/none/spectrogram", "read", 404),
    ("GET", "/api/v1/calls/none/previews/none/face", "read", 404),
    ("PUT", "/api/v1/calls/none/hold", "review", 422),
    ("DELETE", "/api/v1/calls/none/hold", "review", 404),
    ("GET", "/api/v1/alerts", "read", 200),
    ("PUT", "/api/v1/alerts/none/hold", "review", 422),
    ("DELETE", "/api/v1/alerts/none/hold", "review", 404),
    ("GET", "/api/v1/reviews", "read", 200),
    ("POST", "/api/v1/reviews", "review", 422),
    ("GET", "/api/v1/reviews/export", "read", 200),
    ("GET", "/api/v1/holds", "read", 200),
    ("GET", "/api/v1/audit", "control", 200),
    ("GET", "/api/v1/deliveries", "read", 200),
    ("POST", "/api/v1/deliveries/7/retry", "control", 404),
    ("GET", "/api/v1/allowances", "read", 200),
    ("GET", "/api/v1/sources", "read", 200),
    ("GET", "/api/v1/shadow", "read", 200),
    ("GET", "/api/v1/drift", "read", 200),
    ("GET", "/api/v1/models", "read", 200),
    ("POST", "/api/v1/recordings", "control", 422),
    ("DELETE", "/api/v1/calls/none", "control", 404),
    ("DELETE", "/api/v1/sources/none", "control", 404),
    ("POST", "/api/v1/sources", "control", 422),
    ("POST", "/api/v1/calls/none/participants/none/pause", "control", 422),
    ("POST", "/api/v1/calls/none/participants/none/resume", "control", 404),
    ("GET", "/api/v1/evidence", "read", 200),
    ("GET", "/api/v1/evidence/none", "read", 422),
    ("GET", "/api/v1/evidence/none/verification", "read", 422),
    ("GET", "/api/v1/alerts/none/evidence", "read", 200),
    ("POST", "/whip", "publish", 415),
    ("PATCH", "/whip/none", "publish", 404),
    ("DELETE", "/whip/none", "publish", 404),
    ("GET", "/metrics", "metrics", 200),
]


@pytest.mark.parametrize(("method", "path", "scope", "status"), ROUTES)
async def test_each_route_wants_its_scope(
    client: httpx.AsyncClient, method: str, path: str, scope: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for other in set(SCOPES) - {scope}:
        refused = await client.request(method, path, headers=bearer(other))
        assert refused.status_code == 403
        assert scope in refused.json()["detail"]
    allowed = await client.request(method, path, headers=bearer(scope))
    assert allowed.status_code == status
    if status >= 400:
        assert allowed.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= allowed.json().keys()


async def test_every_route_but_health_and_page_is_in_the_table_above(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    tried = {re.sub("/(none|7)", "/*", p) for _, p, _, _ in ROUTES}
    known = {re.sub(r"\{\w+\}", "*", p) for p in paths}
    # The stream never ends, so it is tried end to end.
    assert known - tried == {"/healthz", "/readyz", "/api/v1/events"}


async def test_health_needs_no_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok", "dead": []}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["models"]["voice"]
    assert ready.json()["store"] == "ok"


async def test_an_invalid_field_is_named(client: httpx.AsyncClient) -> None:
    for body, field in [
        ({"uri": "file:///etc/passwd"}, "uri"),
        ({"uri": "rtsp://camera/", "participant": ""}, "participant"),
        ({"uri": "rtsp://camera/", "transport": "pigeon"}, "transport"),
        ({"uri": "rtsp://camera/", "colour": "red"}, "colour"),
        ({}, "uri"),
    ]:
        answer = await client.post("/api/v1/sources", json=body, headers=bearer("control"))
        assert answer.status_code == 422
        assert answer.json()["field"] == field
    answer = await client.get("/api/v1/calls?limit=0", headers=bearer("read"))
    assert answer.json()["field"] == "limit"


async def test_metrics_in_both_formats(client: httpx.AsyncClient) -> None:
    plain = await client.get("/metrics", headers=bearer("metrics"))
    assert plain.headers["content-type"].startswith("text/plain")
    assert "monitor_certificate_info" in plain.text
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    modern = await client.get("/metrics", headers=bearer("metrics") | accept)
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.rstrip().endswith("# EOF")


async def test_the_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    names = {path.name for path in (Path(web.__file__).parent / "console").iterdir()}
    assert {"app.js", "style.css", "icon.svg"} <= names
    for name in names:
        assert (await client.get(f"/console/{name}")).status_code == 200
    # What is loaded; a link elsewhere is followed by people only.
    asked = re.findall(r'(?:src=|<link [^>]*href=)"([^"]+)"', page.text)
    assert len(asked) >= 3
    assert {path.removeprefix("/console/") for path in asked} <= names


WORD = "SECRETWORD"
HIDDEN = [
    f"/user=admin_password={WORD}_channel=1_stream=0.sdp?real_stream",
    f"/user=admin&password={WORD}&channel=1&stream=0.sdp",
    f"/USER=ADMIN&PASSWORD={WORD}",
    f"/%75ser%3Dadmin%26p%61ssword%3D{WORD}",
    f"/live?usr=admin&pwd={WORD}",
    f"/live#password={WORD}",
    f"/live;auth={WORD}",
    f"/{WORD}/live.sdp",
    f"/streams/token/{WORD}",
]
"""How cameras of several makes take a password, and media servers a token."""


@pytest.mark.parametrize("scheme", ["rtsp", "RTSP", "rtsps", "whep+http"])
async def test_a_password_anywhere_in_a_url_is_shown_nowhere(
    client: httpx.AsyncClient,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log.configure("info")
    pages = []
    for rest in HIDDEN:
        # Nobody listens there.
        wanted = {"uri": f"{scheme}://127.0.0.1:9{rest}", "label": "door", "give_up_after": 0.1}
        answer = await client.post("/api/v1/sources", json=wanted, headers=bearer("control"))
        assert answer.status_code == 502, answer.text
        assert "127.0.0.1:9" in answer.json()["detail"]
        pages += [answer.text, str(answer.headers)]
    for path in ("/api/v1/sources", "/api/v1/calls", "/api/v1/audit", "/metrics"):
        for scope in SCOPES:
            pages.append((await client.get(path, headers=bearer(scope))).text)
    pages += capfd.readouterr()
    assert not [page for page in pages if WORD in page]


@pytest.mark.parametrize("sign", "#/?")
async def test_a_password_with_a_bare_sign_is_told_of(client: httpx.AsyncClient, sign: str) -> None:
    for password in (f"{WORD}{sign}x", f"12{sign}{WORD}"):
        wanted = {"uri": f"rtsp://admin:{password}@camera/live"}
        answer = await client.post("/api/v1/sources", json=wanted, headers=bearer("control"))
        assert (answer.status_code, answer.json()["field"]) == (422, "uri")
        assert "percent-encode" in answer.json()["detail"]
        assert WORD not in answer.text
