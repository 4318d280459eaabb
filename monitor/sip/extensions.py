"""What a request insists on, and whether it asks for a recording (RFC 3261, RFC 7866)."""

import re

from aiosipua import SipRequest

from monitor.sip.message import SipError, options

_KNOWN = frozenset(
    {"siprec", "timer", "100rel", "record-aware", "replaces", "histinfo", "path", "privacy"}
    | {"norefersub", "from-change", "gruu", "outbound", "tdialog", "early-session", "uui"}
)
"""Extensions that a client may insist on. Nothing is ever sent that those but `siprec` and `timer`
are about."""
_SOURCE = re.compile(r"[;,]\s*(?:\+sip\.)?src\b", re.I)
"""What Contact says of a recording client; without `+sip.` by BroadWorks."""


def check_extensions(request: SipRequest) -> None:
    """Raise SipError for what is insisted on and not known."""
    required = options(request, "require")
    unknown = sorted(required - _KNOWN)
    if unknown:
        raise SipError(420, f"Require: {unknown[0]}", [("Unsupported", ", ".join(unknown))])


def wants_recording(request: SipRequest) -> bool:
    """Whether a request says, in any of the ways that clients have, that it is of a recording."""
    named = options(request, "require") | options(request, "supported")
    contacts = ",".join(request.headers.get("contact"))
    return "siprec" in named or _SOURCE.search(contacts) is not None
