"""Where a stream is pulled from: a URL that is what whoever wrote it meant.

A password with a bare `#`, `/` or `?` ends the host too early: half of it would be looked up as a
host's name, and the other half would pass for a path. Such a URL is refused.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

WHEP = {"whep+http": "http", "whep+https": "https"}
"""Schemes of WHEP endpoints, with those of their requests."""
SCHEMES = ("rtsp", "rtsps", *WHEP)
_ENCODE = (
    "is not readable as a URL; in its user name and password, percent-encode "
    "# as %23, / as %2F, ? as %3F, @ as %40 and : as %3A"
)
_PORTS = frozenset(
    {80, 322, 443, 554, 1554, 1935, 5554, 7070, 7447, 8000, 8080, 8322, 8443, 8554, 8555, 10554}
)
"""Ports that media servers listen at by themselves or by custom."""
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w-]*[A-Za-z.][\w.-]*)(?::\d+)?(?=[/?#]|$)")


def located(url: str) -> SplitResult:
    """Take a URL apart, its scheme in small letters.

    Raises ValueError for one that names no stream, in words that hold nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # Python's own words repeat what may be half of a password.
        raise ValueError(_ENCODE) from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"must be a URL with a host that begins with {', '.join(SCHEMES)}")
    if _cut_short(parts):
        raise ValueError(_ENCODE)
    if not host:
        raise ValueError(f"must be a URL with a host that begins with {', '.join(SCHEMES)}")
    return parts


def _cut_short(parts: SplitResult) -> bool:
    """Whether what seems to be path, query or fragment looks like the rest of a password."""
    tail = parts._replace(scheme="", netloc="").geturl()
    before, at, after = tail.rpartition("@")
    if not at or "=" in before or not _HOST.match(after):
        # `user=` and the like: credentials in the path, as some cameras have them.
        return False
    if "#" in before or "@" in parts.netloc:
        return True
    if _names_a_machine(parts.hostname or ""):
        # `ann.doe:12/34@camera`: a name with a dot may be a user's, and what follows no port.
        number = parts.port is not None and parts.port not in _PORTS
        return number and not _is_address(parts.hostname or "") and "/" not in before.strip("/")
    # `admin:12/34@camera`: no machine is called so.
    return ":" in parts.netloc or ":" in before


def _names_a_machine(host: str) -> bool:
    return "." in host or host == "localhost" or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
