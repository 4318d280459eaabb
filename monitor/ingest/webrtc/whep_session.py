"""The HTTP half of a WHEP session: an offer goes out, an answer and a resource come back.

WebRTC-HTTP egress protocol, draft-ietf-wish-whep: POST the offer, 201 with the answer, the session
at Location until it is deleted; redirects of the POST keep method and body (307, 308).
"""

import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from monitor.ingest.connection.trust import Trust
from monitor.runtime import log
from monitor.runtime.log import redact
from monitor.types.protocols import SourceError

_log = log.get(__name__)

_MAX_ANSWER = 256 * 1024
"""Bytes; a server that offers every codec says about 10 KiB."""
_PLAIN = ("", "identity")
_REDIRECTS = 3
_REASONS = {401: "unauthorized", 403: "unauthorized", 404: "not_found", 410: "not_found"}


@dataclass(frozen=True, slots=True)
class Session:
    """What the server made of an offer."""

    answer: str
    resource: str | None
    """Where to delete the session; None if the server named no such place."""
    token: str
    """The token that the resource may see."""


class WhepClient:
    """Speaks to one endpoint."""

    def __init__(self, url: str, token: str, trust: Trust, timeout: float) -> None:
        """`timeout` in seconds for each step of a request; raises ValueError like `Trust`."""
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._basic = httpx.BasicAuth(user, password) if user else None
        host = parts.netloc.rpartition("@")[2]
        self._url = parts._replace(netloc=host).geturl()
        self._token = token
        self._trust = trust
        # No proxy, and no redirect but the protocol's.
        self._http = httpx.AsyncClient(
            verify=trust.context(), timeout=timeout, trust_env=False, follow_redirects=False
        )

    async def offer(self, sdp: str) -> Session:
        """Post an offer; raises SourceError with the cause in words that hold no credential."""
        url, token = self._url, self._token
        for _ in range(_REDIRECTS + 1):
            status, headers, body = await self._request("POST", url, token, sdp)
            if status not in (307, 308):
                break
            to = urljoin(url, headers.get("location", ""))
            if urlsplit(to).scheme not in ("https", urlsplit(url).scheme):
                raise SourceError("refused", f"{redact(url)}: redirected away from HTTPS")
            if _origin(to) != _origin(url):
                # Whoever is named there is given no credential; the URL itself may hold one.
                token = ""
            url = to
        shown = redact(url)
        if status in (307, 308):
            raise SourceError("refused", f"{shown}: more than {_REDIRECTS} redirects")
        if status == 406:
            raise SourceError("refused", f"{shown}: the server wants to make the offer itself")
        if status != 201:
            reason = _REASONS.get(status, "unavailable" if status >= 500 else "refused")
            raise SourceError(reason, f"{shown}: HTTP {status} to the offer")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/sdp":
            raise SourceError("unreadable", f"{shown}: the answer is not application/sdp")
        resource = urljoin(url, headers["location"]) if headers.get("location") else None
        if resource is not None and _origin(resource) != _origin(url):
            token = ""
        return Session(body, resource, token)

    async def end(self, session: Session) -> None:
        """Delete the session, if it can be: the server notices in the end anyway."""
        if session.resource is None:
            return
        try:
            status, _, _ = await self._request("DELETE", session.resource, session.token)
        except SourceError as error:
            _log.warning("whep session not deleted", uri=session.resource, detail=error.detail)
            return
        if status >= 300 and status != 404:
            detail = f"HTTP {status}"
            _log.warning("whep session not deleted", uri=session.resource, detail=detail)

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _request(
        self, method: str, url: str, token: str, sdp: str | None = None
    ) -> tuple[int, httpx.Headers, str]:
        # As it is: a packed answer would be unpacked before its length is known.
        headers = {"Accept": "application/sdp", "Accept-Encoding": "identity"}
        if sdp is not None:
            headers["Content-Type"] = "application/sdp"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        own = self._basic if not token and _origin(url) == _origin(self._url) else None
        shown = redact(url)
        try:
            async with self._http.stream(
                method, url, content=sdp, headers=headers, auth=own
            ) as response:
                body = b""
                if response.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
                    if response.status_code == 201:
                        raise SourceError("unreadable", f"{shown}: the answer is compressed")
                    return response.status_code, response.headers, ""
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > _MAX_ANSWER:
                        raise SourceError(
                            "unreadable", f"{shown}: an answer of more than {_MAX_ANSWER} bytes"
                        )
                return response.status_code, response.headers, body.decode(errors="replace")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            tls = _tls(error)
            if tls is not None:
                fault = self._trust.explain(tls, urlsplit(url).hostname or "")
                raise SourceError("untrusted", f"{shown}: {fault}") from None
            # The text of some holds the URL, and that may hold a token.
            timed_out = isinstance(error, httpx.TimeoutException)
            words = "no answer in time" if timed_out else type(error).__name__
            raise SourceError("unreachable", f"{shown}: {words}") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    try:
        port = parts.port or default
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port


def _tls(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None
