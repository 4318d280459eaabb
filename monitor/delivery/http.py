"""How destinations that speak HTTP are reached."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from monitor.messages import DeliveryError


def context(ca_file: str | None) -> ssl.SSLContext:
    """TLS that checks certificates; raises ValueError for an unreadable file."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{ca_file}: not a file of certificates") from error


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


def _about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
