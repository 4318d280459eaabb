"""Which hosts this service may dial when somebody else names the URL."""

import ipaddress
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

_PLAIN = re.compile(r"[!-~]+")


class Hosts:
    """An allow-list of host names."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """`*` and `?` as in file names."""
        self._patterns = tuple(pattern.lower() for pattern in patterns)

    def check(self, url: str) -> str:
        """Return a WebSocket URL that may be dialled; raises ValueError, without the URL's path.

        In clear only to this machine itself.
        """
        if not _PLAIN.fullmatch(url) or "\\" in url:
            raise ValueError("not a URL")
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise ValueError("not a URL") from None
        if parts.scheme not in ("wss", "ws") or not host:
            raise ValueError("not a wss:// URL")
        if "@" in parts.netloc:
            raise ValueError("holds a user name")
        if not any(fnmatchcase(host, pattern) for pattern in self._patterns):
            raise ValueError(f"{host[:100]} is none of the hosts that may be dialled")
        if parts.scheme == "ws" and not _this_machine(host):
            raise ValueError(f"{host[:100]} without TLS")
        return url


def _this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
