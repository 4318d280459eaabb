"""Logging in to the console with an OpenID provider, and out again."""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Protocol

from cryptography.fernet import Fernet, InvalidToken
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from typing_extensions import TypedDict

from monitor.runtime import log
from monitor.runtime.refusals import refused
from monitor.web.auth import Gatekeeper
from monitor.web.problems import Problem
from monitor.web.sessions import Session, Sessions

_log = log.get(__name__)

_PATIENCE = 600
"""Seconds between leaving for the provider and coming back."""
_LONGEST = 200
"""Characters of a name."""


class ProviderError(Exception):
    """The provider did not answer, or not as it must; the text never holds a secret."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in under way; all of it random."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


class Provider(Protocol):
    """Who says who somebody is; every method raises ProviderError."""

    async def url(self, attempt: Attempt) -> str:
        """Where to send the browser."""

    async def claims(self, code: str, issuer: str | None, attempt: Attempt) -> Mapping[str, Any]:
        """What is said of who came back with a code."""

    async def close(self) -> None:
        """Let the connections go."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Claims of a person → a name and what it may do."""

    claim: str
    """Dots lead into objects."""
    scopes: Mapping[str, frozenset[str]]
    """By the provider's role."""
    name_claim: str

    def of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The scopes of all roles that somebody has; none for who has none."""
        value: Any = claims.get(self.claim)
        if value is None:
            value = claims
            for part in self.claim.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        roles = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        given = [self.scopes[r] for r in roles if isinstance(r, str) and r in self.scopes]
        return frozenset().union(*given)

    def name(self, claims: Mapping[str, Any]) -> str:
        """What reviews and the audit log say: the subject is unique, the name is for people.

        No token is called so: the prefix keeps a person from passing for one.
        """
        subject = _words(claims["sub"])
        shown = _words(claims.get(self.name_claim)) or _words(claims.get("email"))
        return f"oidc:{shown} ({subject})" if shown and shown != subject else f"oidc:{subject}"


@dataclass(frozen=True, slots=True)
class Login:
    """What logging in takes."""

    provider: Provider
    roles: Roles
    sessions: Sessions


class SessionRecord(TypedDict):
    """Who has logged in, for our own page."""

    name: str
    scopes: list[str]
    csrf: str
    """To be sent as `X-CSRF-Token` with everything that changes something."""


class LoginRecord(TypedDict):
    """Whether one can log in, and who has."""

    offered: bool
    session: SessionRecord | None


def router(gatekeeper: Gatekeeper, login: Login | None) -> APIRouter:
    """Return the routes; without a `login` only the one that says so."""
    routes = APIRouter(prefix="/login", include_in_schema=False)

    @routes.get("/session")
    async def session(request: Request) -> LoginRecord:
        """Who has logged in with this browser."""
        found = gatekeeper.session(request)
        return {"offered": login is not None, "session": _shown(found) if found else None}

    if login is None:
        return routes
    sealing = Fernet(Fernet.generate_key())
    """Of this process: who is at the provider while it is started anew begins again."""
    sessions = login.sessions
    under_way = sessions.named("monitor-login")

    def keep(answer: Response, cookie: str, value: str, seconds: float, own: bool) -> None:
        """Set a cookie; without its `own` site's request before it, Lax lets it come back."""
        answer.set_cookie(
            cookie, value, max_age=round(seconds), path="/", secure=sessions.secure,
            httponly=True, samesite="strict" if own else "lax",
        )  # fmt: skip

    def forget(answer: Response, cookie: str) -> None:
        answer.delete_cookie(cookie, path="/", secure=sessions.secure, httponly=True)

    def attempt(request: Request) -> Attempt:
        """The log-in that this browser has begun; raises Problem."""
        sealed = request.cookies.get(under_way, "")
        try:
            begun = Attempt(**json.loads(sealing.decrypt(sealed, ttl=_PATIENCE)))
        except (InvalidToken, ValueError) as error:
            raise _refusal("this browser has begun no log-in, or too long ago") from error
        given = request.query_params.get("state", "")
        if not hmac.compare_digest(begun.state.encode(), given.encode()):
            raise _refusal("state: is not that of this browser's log-in")
        return begun

    @routes.get("")
    async def begin() -> Response:
        """Send the browser to the provider."""
        begun = Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))
        try:
            url = await login.provider.url(begun)
        except ProviderError as error:
            raise _failure(error) from error
        answer = RedirectResponse(url, 302)
        sealed = sealing.encrypt(json.dumps(asdict(begun)).encode()).decode()
        keep(answer, under_way, sealed, _PATIENCE, own=False)
        return answer

    @routes.get("/callback")
    async def callback(request: Request) -> Response:
        """Take who comes back from the provider."""
        query = request.query_params
        begun = attempt(request)
        if "code" not in query:
            raise _refusal(f"the provider says: {_words(query.get('error')) or 'nothing'}")
        try:
            claims = await login.provider.claims(query["code"], query.get("iss"), begun)
        except ProviderError as error:
            raise _failure(error) from error
        name, scopes = login.roles.name(claims), login.roles.of(claims)
        if not scopes:
            raise _refusal(f"{name} has no role that is one here", name)
        _log.info("logged in", by=name, scopes=sorted(scopes))
        answer = RedirectResponse("/", 303)
        forget(answer, under_way)
        keep(answer, sessions.cookie, sessions.begin(name, scopes), sessions.seconds, own=True)
        return answer

    @routes.post("/end", status_code=204)
    async def end(
        request: Request, session: Annotated[Session, Depends(gatekeeper.logged_in)]
    ) -> Response:
        """Log out of this service; the provider's own session goes on."""
        _log.info("logged out", by=session.name)
        sessions.end(request.cookies.get(sessions.cookie, ""))
        answer = Response(status_code=204)
        forget(answer, sessions.cookie)
        return answer

    return routes


def _shown(session: Session) -> SessionRecord:
    return {"name": session.name, "scopes": sorted(session.scopes), "csrf": session.csrf}


def _words(value: object) -> str:
    """A claim as one line."""
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST].strip()


def _refusal(detail: str, by: str = "") -> Problem:
    refused("login", cause=detail, by=by)
    return Problem(403, "Not logged in", detail)


def _failure(error: ProviderError) -> Problem:
    refused("login", cause=str(error))
    return Problem(502, "Log-in failed", f"the OpenID provider: {error}")
