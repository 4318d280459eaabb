"""Sessions of people who have logged in: kept in memory, known by a cookie that no script reads."""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

MOST = 10_000
"""Sessions; the oldest ends for one too many."""


@dataclass(frozen=True, slots=True)
class Session:
    """One person in one browser."""

    name: str
    scopes: frozenset[str]
    until: float
    """By the clock of the sessions."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Told to our own page only: who changes something must send it along."""

    def confirmed(self, given: str) -> bool:
        """Whether a request comes from our own page."""
        return hmac.compare_digest(self.csrf.encode(), given.encode())


class Sessions:
    """All of this process; none outlives it."""

    def __init__(
        self, seconds: float, secure: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` is how long one lasts; `secure` says that browsers reach us by HTTPS."""
        self.seconds = seconds
        self.secure = secure
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix keeps other hosts of the domain from setting it."""
        return self.named("monitor-session")

    def named(self, cookie: str) -> str:
        """A cookie's name."""
        return f"__Host-{cookie}" if self.secure else cookie

    def begin(self, name: str, scopes: frozenset[str]) -> str:
        """Begin one and return the cookie's value."""
        secret = secrets.token_urlsafe(32)
        self._open[_digest(secret)] = Session(name, scopes, self._clock() + self.seconds)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
        return secret

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, if it goes on."""
        key = _digest(secret)
        session = self._open.get(key)
        if session is not None and session.until <= self._clock():
            del self._open[key]
            return None
        return session

    def end(self, secret: str) -> None:
        """End one."""
        self._open.pop(_digest(secret), None)


def _digest(secret: str) -> str:
    # A dictionary's look-up tells by its time how much of a key is right: of a hash, nothing.
    return sha256(secret.encode()).hexdigest()
