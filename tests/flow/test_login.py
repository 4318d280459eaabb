"""Logging in by OpenID: who gets in as whom, who does not, and what a session is good for.

The provider here is a fake that lies on demand; `tests/peers/test_login.py` asks a certified one.
"""

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import SecretStr

from monitor.service.access import login
from monitor.service.app import Service
from monitor.service.fleet import check_cluster
from monitor.settings import Settings, SettingsError, load
from monitor.settings.cluster import Cluster
from monitor.settings.store import Store
from monitor.web import problems
from monitor.web.auth import Gatekeeper, digest
from monitor.web.login.login import router
from monitor.web.sessions import Sessions
from tests.alerts import alert
from tests.storecases import accept

BASE = "http://127.0.0.1:8080"
SECRET = "hunter2 & co/+"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
CURVE = ECKey.generate_key("P-256", {"kid": "two"})


@dataclass
class FakeProvider:
    """An OpenID provider that asks nobody anything: `claims` is who comes next."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "7", "roles": ["analyst"]})
    """What userinfo says; the token has the subject only."""
    token: dict[str, Any] = field(default_factory=dict)
    """What the ID token says otherwise."""
    key: Any = field(default_factory=lambda: KEY)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    keys: list[dict[str, Any]] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    """The last authorization request, under the code for it."""
    posted: list[tuple[dict[str, str], str]] = field(default_factory=list)
    """What came to the token endpoint, with its Authorization header."""
    status: int = 200

    def authorize(self, url: str) -> dict[str, str]:
        """Say yes to a browser; return what it brings back."""
        query = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.url}/authorize?")
        code = f"code-{len(self.asked)}"
        self.asked[code] = query
        return {"code": code, "state": query["state"], "iss": self.url}

    def answer(self, path: str, form: dict[str, str], authorization: str) -> Any:
        if path == "/.well-known/openid-configuration":
            endpoints = ("authorize", "token", "jwks", "me")
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
            found = {n: f"{self.url}/{e}" for n, e in zip(names, endpoints, strict=True)}
            return {"issuer": self.url, **found, **self.described}
        if path == "/jwks":
            odd = {"kty": "OKP", "crv": "nonsense", "x": "AA"}
            return {"keys": self.keys or [odd, KEY.as_dict(private=False), CURVE.as_dict(False)]}
        if path == "/me":
            return self.claims if authorization == "Bearer access" else None
        assert path == "/token"
        self.posted.append((form, authorization))
        asked = self.asked[form["code"]]
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() == asked["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": "monitor", "sub": self.claims["sub"], "iat": now,
            "exp": now + 60, "nonce": asked["nonce"], **self.token,
        }  # fmt: skip
        kept = {k: v for k, v in claims.items() if v is not None}
        signed = jwt.encode(self.header, kept, self.key, algorithms=[self.header["alg"]])
        return {"access_token": "access", "token_type": "Bearer", "id_token": signed}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    found = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = {k: v[0] for k, v in parse_qs(body).items()}
            said = found.answer(
                urlsplit(self.path).path, form, self.headers.get("authorization", "")
            )
            self.send_response(found.status if said is not None else 401)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def chosen(provider: FakeProvider, folder: Path, **settings: Any) -> Settings:
    oidc = {
        "issuer": provider.url, "client_id": "monitor", "client_secret": SECRET,
        "redirect_uri": f"{BASE}/login/callback", **settings,
    }  # fmt: skip
    tokens = [{"name": "robot", "sha256": digest("robot"), "scopes": ["control", "read"]}]
    return load(None, state_dir=folder, server={"tokens": tokens}, oidc=oidc)


@asynccontextmanager
async def console(
    provider: FakeProvider, folder: Path, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser before a service that can do nothing but log people in."""
    built = login(chosen(provider, folder, **settings))
    assert built is not None
    app = FastAPI()
    problems.install(app)
    app.include_router(router(Gatekeeper([], sessions=built.sessions), built))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as browser:
        yield browser
    await built.provider.close()


async def logged_in(browser: httpx.AsyncClient, provider: FakeProvider) -> httpx.Response:
    """What a browser gets that has been to the provider and back."""
    away = await browser.get("/login")
    assert away.status_code == 302, away.text
    return await browser.get("/login/callback", params=provider.authorize(away.headers["location"]))


async def session(browser: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await browser.get("/login/session")).json()
    assert found["offered"] is True
    return found["session"] or {}


async def test_an_analyst_reviews_under_their_name(provider: FakeProvider, tmp_path: Path) -> None:
    provider.claims |= {"preferred_username": "alice", "email": "a@x.example"}
    service = Service(chosen(provider, tmp_path))
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url=BASE) as browser,
    ):
        await accept(service.alerting.store, alert(1), to=())
        assert await session(browser) == {}
        assert (await browser.get("/api/v1/alerts")).status_code == 401
        answer = await logged_in(browser, provider)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert answer.headers["cache-control"] == "no-store"
        cookie = next(c for c in answer.headers.get_list("set-cookie") if "-session=" in c)
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))

        who = await session(browser)
        assert who["name"] == "oidc:alice (7)"
        assert who["scopes"] == ["read", "review"]
        assert (await browser.get("/api/v1/alerts")).status_code == 200
        body = {"alert": alert(1).id, "outcome": "true_fake", "reason": "heard it"}
        for wrong in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": who["csrf"][:-1]}):
            answer = await browser.post("/api/v1/reviews", json=body, headers=wrong)
            assert (answer.status_code, answer.json()["field"]) == (403, "x-csrf-token")
        ours = {"X-CSRF-Token": who["csrf"]}
        answer = await browser.post("/api/v1/reviews", json=body, headers=ours)
        assert (answer.status_code, answer.json()["by"]) == (201, "oidc:alice (7)")
        # An analyst does not control, whatever the method.
        assert (await browser.get("/api/v1/audit")).status_code == 403
        answer = await browser.delete("/api/v1/calls/none", headers=ours)
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
        trail = await browser.get("/api/v1/audit", headers={"Authorization": "Bearer robot"})
        assert [row["by"] for row in trail.json()] == ["oidc:alice (7)"]

        # A token that is sent counts, not the cookie beside it.
        assert (
            await browser.get("/api/v1/alerts", headers={"Authorization": "Bearer wrong"})
        ).status_code == 401
        assert (await browser.post("/login/end")).status_code == 403
        kept = dict(browser.cookies)
        assert (await browser.post("/login/end", headers=ours)).status_code == 204
        assert await session(browser) == {}
        browser.cookies.update(kept)
        assert (await browser.get("/api/v1/alerts")).status_code == 401
    (form, authorization) = provider.posted[0]
    user, _, password = base64.b64decode(authorization.split()[1]).decode().partition(":")
    assert (user, password) == ("monitor", "hunter2%20%26%20co%2F%2B")
    assert "client_secret" not in form


@pytest.mark.parametrize(
    ("settings", "claims", "scopes"),
    [
        ({}, {"roles": "viewer"}, ["read"]),
        ({}, {"roles": ["viewer", "operator", 7]}, ["control", "publish", "read", "review"]),
        ({"roles_claim": "realm.roles"}, {"realm": {"roles": ["viewer"]}}, ["read"]),
        ({"roles_claim": "https://x.example/roles"}, {"https://x.example/roles": ["viewer"]},
         ["read"]),
        ({"roles": {"fraud": "analyst"}}, {"roles": ["fraud", "operator"]}, ["read", "review"]),
        ({"client_secret": None}, {"roles": ["viewer"]}, ["read"]),
    ],
)  # fmt: skip
async def test_roles_come_from_claims(
    provider: FakeProvider,
    tmp_path: Path,
    settings: dict[str, Any],
    claims: dict[str, Any],
    scopes: list[str],
) -> None:
    provider.claims = {"sub": "7", **claims}
    async with console(provider, tmp_path, **settings) as browser:
        assert (await logged_in(browser, provider)).status_code == 303
        who = await session(browser)
    assert (who["name"], who["scopes"]) == ("oidc:7", scopes)


@pytest.mark.parametrize(
    "claims",
    [{}, {"roles": []}, {"roles": ["boss"]}, {"roles": None}, {"roles": {"viewer": 1}},
     {"roles": [["viewer"]]}],
)  # fmt: skip
async def test_who_has_no_role_stays_outside(
    provider: FakeProvider, tmp_path: Path, claims: dict[str, Any]
) -> None:
    provider.claims = {"sub": "7", **claims}
    async with console(provider, tmp_path) as browser:
        answer = await logged_in(browser, provider)
        assert (answer.status_code, "no role" in answer.json()["detail"]) == (403, True)
        assert await session(browser) == {}


LIES: list[dict[str, Any]] = [
    {"token": {"nonce": "another"}},
    {"token": {"nonce": None}},
    {"token": {"iss": "http://127.0.0.1:1"}},
    {"token": {"aud": "another"}},
    {"token": {"aud": ["monitor", "another"]}},
    {"token": {"azp": "another"}},
    {"token": {"exp": 1}},
    {"token": {"exp": None}},
    {"token": {"iat": 99_999_999_999}},
    {"token": {"sub": "8"}},
    {"token": {"sub": ""}},
    {"key": OTHER},
    {"key": OctKey.import_key(SECRET), "header": {"alg": "HS256"}},
    {"keys": [{"kty": "oct", "k": "AAAA", "kid": "one"}]},
    {"status": 500},
]


@pytest.mark.parametrize("lie", LIES, ids="+".join)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_what_a_provider_must_not_say(
    provider: FakeProvider, tmp_path: Path, lie: dict[str, Any]
) -> None:
    async with console(provider, tmp_path) as browser:
        away = await browser.get("/login")
        back = provider.authorize(away.headers["location"])
        for name, value in lie.items():
            setattr(provider, name, value)
        answer = await browser.get("/login/callback", params=back)
        assert answer.status_code == 502, answer.text
        assert SECRET not in answer.text
        assert await session(browser) == {}


@pytest.mark.parametrize(
    "described",
    [{"issuer": "http://127.0.0.1:1"}, {"authorization_endpoint": None},
     {"authorization_endpoint": 7}],
)  # fmt: skip
async def test_a_provider_that_describes_itself_wrong(
    provider: FakeProvider, tmp_path: Path, described: dict[str, Any]
) -> None:
    provider.described = described
    async with console(provider, tmp_path) as browser:
        assert (await browser.get("/login")).status_code == 502


async def test_only_the_browser_that_left_may_come_back(
    provider: FakeProvider, tmp_path: Path
) -> None:
    async with console(provider, tmp_path) as browser:
        back = provider.authorize((await browser.get("/login")).headers["location"])
        wrong = [
            {**back, "state": "another"},
            {k: v for k, v in back.items() if k != "state"},
            {"error": "access_denied\r\nx: y", "state": back["state"]},
        ]
        for query in wrong:
            assert (await browser.get("/login/callback", params=query)).status_code == 403
        answer = await browser.get("/login/callback", params={**back, "iss": "https://other"})
        assert answer.status_code == 502
        kept = dict(browser.cookies)
        for value in ("", "x", "é", kept["monitor-login"][:-4]):
            sent = {b"cookie": f"monitor-login={value}".encode()}
            browser.cookies.clear()
            answer = await browser.get("/login/callback", params=back, headers=sent)
            assert answer.status_code == 403
        browser.cookies.update(kept)
        assert (await browser.get("/login/callback", params=back)).status_code == 303


async def test_without_a_provider_nobody_can_log_in(tmp_path: Path) -> None:
    service = Service(load(None, state_dir=tmp_path, token="t"))
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as browser:
        answer = await browser.get("/login/session", headers={"Cookie": "monitor-session=x"})
        assert answer.json() == {"offered": False, "session": None}
        assert (await browser.get("/login")).status_code == 404


def test_a_cluster_has_no_log_in(tmp_path: Path) -> None:
    right = chosen(FakeProvider("http://127.0.0.1:9"), tmp_path)
    away = SecretStr("postgresql://db.example/monitor")
    fields = {"store": Store(url=away), "cluster": Cluster(secret=SecretStr("s" * 32))}
    alone = right.model_copy(update=fields)
    assert check_cluster(alone.model_copy(update={"oidc": None})) == "s" * 32
    with pytest.raises(SettingsError, match="oidc: a cluster"):
        check_cluster(alone)


def test_the_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joserfc", None)
    monkeypatch.delitem(sys.modules, "monitor.web.login.provider", raising=False)
    with pytest.raises(SettingsError, match="oidc: needs the extra `oidc`"):
        login(chosen(FakeProvider("http://127.0.0.1:9"), tmp_path))


async def test_a_provider_that_is_away(tmp_path: Path) -> None:
    away = FakeProvider("http://127.0.0.1:9")
    async with console(away, tmp_path) as browser:
        answer = await browser.get("/login")
    assert (answer.status_code, answer.json()["detail"]) == (
        502, "the OpenID provider: ConnectError",
    )  # fmt: skip


def test_sessions_end() -> None:
    now = [0.0]
    sessions = Sessions(60.0, True, lambda: now[0])
    assert sessions.cookie == "__Host-monitor-session"
    secret = sessions.begin("oidc:7", frozenset({"read"}))
    now[0] = 59.9
    assert sessions.find(secret) is not None
    assert sessions.find(secret + "x") is None
    now[0] = 60.0
    assert sessions.find(secret) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"issuer": "http://id.example"}, "oidc.issuer"),
        ({"issuer": "https://u:hunter2@id.example"}, "oidc.issuer"),
        ({"redirect_uri": "https://monitor.example/"}, "oidc.redirect_uri"),
        ({"redirect_uri": "http://monitor.example/login/callback"}, "oidc.redirect_uri"),
        ({"scopes": ["profile"]}, "oidc.scopes"),
        ({"roles": {"a": "boss"}}, "oidc.roles"),
        ({"roles": {}}, "oidc.roles"),
        ({"client_secret": " "}, "client_secret"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, wrong: dict[str, Any], named: str) -> None:
    right = {
        "issuer": "https://id.example", "client_id": "monitor",
        "redirect_uri": "https://monitor.example/login/callback",
    }  # fmt: skip
    load(None, state_dir=tmp_path, oidc=right)
    with pytest.raises(SettingsError, match=named) as caught:
        load(None, state_dir=tmp_path, oidc=right | wrong)
    assert "hunter2" not in str(caught.value)
