"""Signed requests of telephone platforms: AudioHook's HTTP message signatures, Twilio's header."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from monitor.web.problems import Problem

MAX_AGE = 10.0
"""Seconds a signature may be old."""
SKEW = 3.0
"""Seconds by which two clocks may differ."""
NONCES = 10_000
"""Signatures remembered at once: far more than calls can begin within their life."""
PORTS = (
    443, 80, 8443, 8080, 2053, 2083, 2087, 2096, 2052, 2082, 2086, 2095, 8880,
    3000, 4443, 5000, 5443, 7443, 8000, 8081, 8444, 8888, 9000, 9443, 10443,
)  # fmt: skip
"""Usual ones of services behind proxies, tunnels and address translation."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(:\d{1,5})?")
_COVERED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
_NAME = r"[a-z*][a-z0-9_.*-]*"
_TEXT = r'"[ !#-\[\]-~]*"'
_INPUT = re.compile(rf"({_NAME})=(\(({_TEXT}(?: {_TEXT})*)\)((?:;[a-z]+=(?:{_TEXT}|\d{{1,15}}))+))")
_PARAMETER = re.compile(r';([a-z]+)=(?:"([^"]*)"|(\d+))')
_SIGNATURE = re.compile(rf"({_NAME})=:([A-Za-z0-9+/]+=*):")


class AudioHookGate:
    """Lets in requests that Genesys signed, each once."""

    def __init__(
        self,
        api_key: str,
        client_secret: str,
        organizations: Sequence[str] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`client_secret` is base64; no `organizations` means any. Raises ValueError for both."""
        self._api_key = api_key
        self._secret = base64.b64decode(client_secret, validate=True)
        if not api_key or not self._secret:
            raise ValueError("empty")
        self._organizations = frozenset(organizations)
        self._wall = wall
        self._nonces: dict[str, float] = {}

    def check(self, target: str, headers: Mapping[str, str]) -> None:
        """Raise Problem unless the request is signed, fresh, new and from a known organization.

        `target` is path and query as sent; header names are in lower case.
        """
        key = headers.get("x-api-key", "")
        if not hmac.compare_digest(key.encode(), self._api_key.encode()):
            raise _refused("X-API-KEY", "missing or not the configured key")
        given = _SIGNATURE.fullmatch(headers.get("signature", "").strip())
        signed = _INPUT.fullmatch(headers.get("signature-input", "").strip())
        if given is None or signed is None or given[1] != signed[1]:
            raise _refused("Signature", "one Signature and its Signature-Input are needed")
        parameters = {name: text or digits for name, text, digits in _PARAMETER.findall(signed[4])}
        components = re.findall(r'"([^"]*)"', signed[3])
        if missing := [name for name in _COVERED if name not in components]:
            raise _refused("Signature-Input", f"does not cover {missing[0]}")
        base = self._base(components, target, headers, signed[2])
        wanted = hmac.new(self._secret, base.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(wanted, _decoded(given[2])):
            raise _refused("Signature", "does not match the request")
        if parameters.get("keyid") != key or parameters.get("alg", "hmac-sha256") != "hmac-sha256":
            raise _refused("Signature-Input", "keyid must be the API key, alg hmac-sha256")
        self._check_time(parameters)
        organization = headers.get("audiohook-organization-id", "")
        if self._organizations and organization not in self._organizations:
            raise Problem(
                403,
                "Forbidden",
                "Audiohook-Organization-Id: not in telephony.audiohook.organizations",
            )

    @staticmethod
    def _base(
        components: Sequence[str], target: str, headers: Mapping[str, str], parameters: str
    ) -> str:
        lines = []
        for name in components:
            if name == "@request-target":
                value = target
            elif name == "@authority":
                value = headers.get("host", "").lower()
            elif name in headers:
                value = headers[name].strip()
            else:
                raise _refused("Signature-Input", f"covers {name[:40]}, which the request lacks")
            lines.append(f'"{name}": {value}')
        return "\n".join([*lines, f'"@signature-params": {parameters}'])

    def _check_time(self, parameters: Mapping[str, str]) -> None:
        now = self._wall()
        created, expires = parameters.get("created", ""), parameters.get("expires", "")
        nonce = parameters.get("nonce", "")
        if not created.isdigit() or (expires and not expires.isdigit()) or len(nonce) < 22:
            raise _refused("Signature-Input", "created and a nonce of 22 characters are needed")
        if float(created) > now + SKEW or float(created) + MAX_AGE < now - SKEW:
            raise _refused("Signature-Input", "created: too old, or in the future; check clocks")
        if expires and float(expires) < now - SKEW:
            raise _refused("Signature-Input", "expires: is over")
        # In order of arrival, which is nearly the order of their ends.
        while self._nonces and next(iter(self._nonces.values())) < now:
            del self._nonces[next(iter(self._nonces))]
        if nonce in self._nonces:
            raise _refused("Signature-Input", "nonce: was used before")
        if len(self._nonces) >= NONCES:
            raise Problem(503, "Too many requests", "Signature-Input: too many nonces at once")
        self._nonces[nonce] = now + MAX_AGE + 2 * SKEW


class TwilioGate:
    """Lets in requests that Twilio signed with the account's auth token."""

    def __init__(self, auth_token: str, ports: Sequence[int] = PORTS) -> None:
        """`ports`: those that the platform may know this service by, besides the request's own."""
        self._token = auth_token.encode()
        self._ports = tuple(f":{port}" for port in ports)

    def check(self, target: str, headers: Mapping[str, str]) -> None:
        """Raise Problem unless `X-Twilio-Signature` fits this URL."""
        given = headers.get("x-twilio-signature", "").strip()
        fits = False
        for url in self._addresses(target, headers):
            wanted = base64.b64encode(hmac.new(self._token, url.encode(), hashlib.sha1).digest())
            fits |= hmac.compare_digest(wanted, given.encode())
        if not fits:
            raise _refused("X-Twilio-Signature", "missing, or not of this URL and auth token")

    def _addresses(self, target: str, headers: Mapping[str, str]) -> Iterator[str]:
        """Yield the ways in which the platform may have written this request's URL.

        It may sign the port or leave it out, and a proxy in front may end TLS, put a port into
        Host, or take it out; a final slash comes and goes.
        """
        found = _HOST.fullmatch(headers.get("host", "").strip())
        if found is None:
            return
        host, port = found[1], found[2] or ""
        forwarded = headers.get("x-forwarded-port", "").strip()
        named = f":{forwarded}" if forwarded.isascii() and forwarded.isdigit() else ""
        ports = dict.fromkeys((port, "", named, *self._ports))
        other = target.removesuffix("/") if target.endswith("/") else f"{target}/"
        for scheme in ("wss", "https", "ws", "http"):
            for each in ports:
                for path in (target, other):
                    yield f"{scheme}://{host}{each}{path}"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _refused(field: str, detail: str) -> Problem:
    return Problem(401, "Unauthorized", f"{field}: {detail}", field=field.lower())
