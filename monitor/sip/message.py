"""SIP messages that come in, and the answers to them (RFC 3261, RFC 2046). Pure.

Reading and writing is aiosipua's; here is what a recording server wants of a request, and how it
says no.
"""

import re
import secrets
from collections.abc import Iterable, Iterator

from aiosipua import SipMessage, SipRequest, SipResponse, Via

LARGEST_HEAD = 64 * 1024
"""Bytes."""
LARGEST_BODY = 128 * 1024
"""Bytes; what a recording client sends has a few KiB."""
_REQUIRED = ("via", "from", "to", "call-id", "cseq")
_MOST_PARTS = 16
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")
_DEEPEST = 2
"""Levels of bodies inside of bodies."""
_OPENING = re.compile(rb"\s*--([^\r\n]{1,70}?)[ \t]*\r?\n")
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.I)

REASONS = {
    100: "Trying", 200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    405: "Method Not Allowed", 415: "Unsupported Media Type", 420: "Bad Extension",
    421: "Extension Required", 422: "Session Interval Too Small", 481: "Call Does Not Exist",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error", 503: "Service Unavailable", 513: "Message Too Large",
}  # fmt: skip


class SipError(Exception):
    """A request that is refused; `status` is the SIP status that says so."""

    def __init__(
        self, status: int, detail: str, headers: Iterable[tuple[str, str]] = (), reason: str = ""
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = tuple(headers)
        self.reason = reason or REASONS[status]
        """What stands beside the status."""


class MalformedError(ValueError):
    """Bytes that are no SIP message, or one that cannot even be answered."""


def read(data: bytes) -> SipRequest | SipResponse:
    """Read one message; raises MalformedError."""
    if len(data) > LARGEST_HEAD + LARGEST_BODY:
        raise MalformedError("too large")
    try:
        message = SipMessage.parse(data)
        if isinstance(message, SipRequest) and not _TOKEN.fullmatch(message.method):
            raise MalformedError("no method")
        missing = [name for name in _REQUIRED if not message.headers.get(name)]
        if missing:
            raise MalformedError(f"lacks {', '.join(missing)}")
        cseq, via = message.cseq, top(message)
        # Parsed here once, so that what is read later cannot fail.
        _ = message.contact, message.from_addr, message.to_addr
    except ValueError as error:
        raise MalformedError(str(error)[:200]) from error
    if cseq is None or not 0 <= cseq.seq < 2**31:
        raise MalformedError("no CSeq")
    if isinstance(message, SipRequest) and cseq.method != message.method:
        raise MalformedError("CSeq is of another method")
    if not via.branch or not via.host:
        raise MalformedError("Via without branch")
    return message


def top(message: SipMessage) -> Via:
    """Return the first Via: who sent the request."""
    return message.via[0]


def tag(request: SipRequest, end: str) -> str:
    """Return the tag of From or To; empty if there is none."""
    address = request.from_addr if end == "from" else request.to_addr
    return (address.params.get("tag") if address is not None else None) or ""


def reply(
    request: SipRequest,
    status: int,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: str = "",
    kind: str = "application/sdp",
    reason: str = "",
) -> SipResponse:
    """Write a response; `kind` is the type of a body."""
    response = SipResponse(status_code=status, reason_phrase=reason or REASONS[status])
    for via in request.headers.get("via"):
        response.headers.append("Via", via)
    if status < 300:
        for route in request.headers.get("record-route"):
            response.headers.append("Record-Route", route)
    for name in ("From", "To", "Call-ID", "CSeq"):
        response.headers.set_single(name, request.headers.get_first(name) or "")
    if status > 100 and not tag(request, "to"):
        to = f"{request.headers.get_first('to')};tag={to_tag or secrets.token_hex(8)}"
        response.headers.set_single("To", to)
    for name, value in headers:
        response.headers.append(name, value)
    if body:
        response.headers.set_single("Content-Type", kind)
        response.text = body
    return response


def options(request: SipRequest, header: str) -> set[str]:
    """Return the option tags that a header lists, in lower case."""
    return {value.strip().lower() for value in request.headers.get(header)}


def parts(request: SipRequest) -> dict[str, bytes]:
    """Return the bodies by content type, the first of each; raises SipError for what is none."""
    bodies: dict[str, bytes] = {}
    if request.body:
        for kind, body in _bodies(request.content_type or "", request.body, 0):
            bodies.setdefault(kind, body)
    return bodies


def _bodies(kind: str, body: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield a body, or those inside of it, with their types in lower case."""
    plain = kind.partition(";")[0].strip().lower()
    if not plain.startswith("multipart/") or depth > _DEEPEST:
        yield plain, body
        return
    found = _BOUNDARY.search(kind)
    opening = _OPENING.match(body)
    boundary = (found[1] or found[2]).encode() if found else opening[1] if opening else b""
    if not boundary:
        raise SipError(400, "Content-Type: multipart without a boundary")
    for each, content in _split(body, boundary):
        yield from _bodies(each, content, depth + 1)


def _split(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)", body)
    # Between the pieces lies whether the boundary was the last one; it may be missing.
    if len(pieces) < 3 or len(pieces) > 2 * _MOST_PARTS:
        raise SipError(400, "body: not parts between boundaries")
    for piece, closed in zip(pieces[2::2], pieces[1::2], strict=True):
        if closed:
            return
        head, _, content = piece.replace(b"\r\n", b"\n", 1).partition(b"\n\n")
        if b"\r\n\r\n" in piece:
            head, _, content = piece.partition(b"\r\n\r\n")
        elif piece.startswith(b"\r\n"):
            head, content = b"", piece[2:]
        kind = "text/plain"
        for line in head.decode("latin-1").splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() in ("content-type", "c"):
                kind = value.strip()
        yield kind, content
