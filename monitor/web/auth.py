"""Who may do what: hashed bearer tokens with scopes."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from monitor.web.problems import Problem
from monitor.web.sessions import Session, Sessions

CSRF = "x-csrf-token"
"""The header by which our own page shows that a request is its."""
_SAFE = ("GET", "HEAD", "OPTIONS")

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An API token. Each operation names the scope that the token must have.",
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one token allows."""

    name: str
    sha256: str
    """Hexadecimal. Tokens are long and random, so a plain hash cannot be searched."""
    scopes: frozenset[str]
    not_after: datetime | None = None


def digest(token: str) -> str:
    """The hash under which a token is configured."""
    return hashlib.sha256(token.encode()).hexdigest()


class Gatekeeper:
    """Checks the Authorization header of requests, and the cookies of who has logged in."""

    def __init__(
        self,
        grants: Sequence[Grant],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sessions: Sessions | None = None,
    ) -> None:
        """`wall` tells the time by which tokens end."""
        self._grants = tuple(grants)
        self._wall = wall
        self._sessions = sessions

    def require(self, scope: str) -> Callable[..., Awaitable[Grant]]:
        """Return a dependency that lets requests with this scope pass."""

        async def check(
            request: Request,
            given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER, scopes=[scope])],
        ) -> Grant:
            return self.enter(request, given, scope)

        return check

    def enter(
        self, request: Request, given: HTTPAuthorizationCredentials | None, scope: str
    ) -> Grant:
        """Return who asks, by a token or, without one, by a session; raises Problem."""
        if given is not None or self.session(request) is None:
            return self.allow(given.credentials if given is not None else "", scope)
        session = self.logged_in(request)
        if scope not in session.scopes:
            raise Problem(403, "Forbidden", f"{session.name} lacks the scope {scope!r}")
        return Grant(session.name, "", session.scopes)

    def session(self, request: Request) -> Session | None:
        """The session of a browser that has logged in."""
        if self._sessions is None:
            return None
        return self._sessions.find(request.cookies.get(self._sessions.cookie, ""))

    def logged_in(self, request: Request) -> Session:
        """The session of a request that our own page has made, if it changes anything.

        Raises Problem. Browsers send cookies along with what other pages of the same site ask; they
        cannot read the token that this needs.
        """
        session = self.session(request)
        if session is None:
            raise Problem(401, "Unauthorized", "nobody is logged in")
        changes = request.method not in _SAFE
        if changes and not session.confirmed(request.headers.get(CSRF, "")):
            raise Problem(403, "Forbidden", f"{CSRF}: missing or wrong", field=CSRF)
        return session

    def allow(self, token: str, scope: str) -> Grant:
        """Return whose token this is; raises Problem if it is nobody's or lacks the scope."""
        challenge = {"WWW-Authenticate": 'Bearer realm="deepfake-monitor"'}
        token = token.strip()
        if not token:
            raise Problem(401, "Unauthorized", "Authorization: a bearer token is needed", challenge)
        grant = self._find(digest(token))
        if grant is None:
            raise Problem(401, "Unauthorized", "Authorization: unknown token", challenge)
        if grant.not_after is not None and self._wall() > grant.not_after:
            detail = f"Authorization: the token ended at {grant.not_after.isoformat()}"
            raise Problem(401, "Unauthorized", detail, challenge)
        if scope not in grant.scopes:
            raise Problem(403, "Forbidden", f"Authorization: the token lacks scope {scope!r}")
        return grant

    def _find(self, hashed: str) -> Grant | None:
        found = None
        for grant in self._grants:
            # Every grant is compared, so that time tells nothing about which one matched.
            if hmac.compare_digest(grant.sha256, hashed):
                found = grant
        return found
