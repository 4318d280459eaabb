"""How destinations that speak HTTP are reached."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from monitor.schema.messages import DeliveryError

LONGEST_WAIT = 3600.0
"""Seconds for which a receiver is left alone because it asks for it."""


def context(ca_file: str | None, certificate: str | None = None) -> ssl.SSLContext:
    """TLS that checks certificates; raises ValueError for an unreadable file.

    `certificate` is a file with our own and its key, unencrypted.
    """
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{ca_file}: not a file of certificates") from error
    if certificate is not None:
        try:
            # Without a password of nothing, OpenSSL would ask for one at the terminal.
            made.load_cert_chain(certificate, password="")
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"{certificate}: not a certificate with its key") from error
    return made


def client(ca_file: str | None) -> httpx.AsyncClient:
    """A client that follows no redirect and asks no proxy: alerts go where the operator said."""
    # The courier sets the deadline for the whole attempt.
    return httpx.AsyncClient(
        verify=context(ca_file), follow_redirects=False, timeout=None, trust_env=False
    )


async def posted(
    client: httpx.AsyncClient,
    url: httpx.URL | str,
    body: bytes,
    headers: Mapping[str, str],
    extensions: Mapping[str, Any] | None = None,
) -> httpx.Response:
    """POST and return the answer; its body is not read: a receiver could send for ever."""
    try:
        async with client.stream(
            "POST", url, content=body, headers=headers, extensions=dict(extensions or {})
        ) as response:
            return response
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The text of some holds the URL, and that may hold a token.
        cause = error.__cause__ or error.__context__
        tls = "TLS " if _about_tls(cause) else ""
        raise DeliveryError(f"{tls}{type(error).__name__}") from None


def failure(response: httpx.Response) -> DeliveryError:
    """What an answer other than 2xx says, and what it asks for."""
    status = response.status_code
    wait = _retry_after(response.headers) if status >= 300 else 0.0
    return DeliveryError(f"status {status}", wait, gone=status == httpx.codes.GONE)


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds that `Retry-After` names (RFC 9110, 10.2.3); 0 without it, and for what is none."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:9]), LONGEST_WAIT)
    until = _date(asked)
    if until is None:
        return 0.0
    # By the receiver's own clock where it shows one: it may be wrong by hours.
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
