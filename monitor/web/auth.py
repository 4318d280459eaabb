"""Who may do what: hashed bearer tokens with scopes."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from monitor.web.problems import Problem

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
    """Checks the Authorization header of requests."""

    def __init__(
        self, grants: Sequence[Grant], wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`wall` tells the time by which tokens end."""
        self._grants = tuple(grants)
        self._wall = wall

    def require(self, scope: str) -> Callable[..., Awaitable[Grant]]:
        """Return a dependency that lets requests with this scope pass."""

        async def check(
            given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER, scopes=[scope])],
        ) -> Grant:
            return self.allow(given.credentials if given is not None else "", scope)

        return check

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
