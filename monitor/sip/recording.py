"""One recording session: the dialog with its client, and the call that is monitored."""

import asyncio
import secrets
from dataclasses import dataclass, field

from aiosipua import Dialog, SipRequest
from aiosipua.session_timer import parse_session_expires

from monitor.calls.call import Call
from monitor.ingest.recording_metadata import Metadata, MetadataError, read_metadata
from monitor.ingest.recording_offer import SUITES, Line, SdpError, answer, read_offer
from monitor.ingest.siprec import SiprecSource
from monitor.sip.message import SipError, options, parts
from monitor.sip.transport import Peer

SDP = "application/sdp"
METADATA = ("application/rs-metadata+xml", "application/rs-metadata")
"""The type of RFC 7866, and that of drafts before it."""
SHORTEST_TIMER = 90
"""Seconds (RFC 4028)."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a request brings."""

    lines: tuple[Line, ...] | None
    """None without an offer."""
    metadata: Metadata | None


def read_content(request: SipRequest) -> Content:
    """Read the bodies of INVITE or UPDATE; raises SipError."""
    bodies = parts(request)
    known = {SDP, *METADATA}
    if bodies and not known & bodies.keys():
        raise SipError(415, "body: neither SDP nor metadata", [("Accept", f"{SDP}, {METADATA[0]}")])
    lines = metadata = None
    if SDP in bodies:
        try:
            lines = read_offer(bodies[SDP].decode())
        except UnicodeDecodeError as error:
            raise SipError(400, "sdp: not UTF-8") from error
        except SdpError as error:
            raise SipError(488, f"sdp: {error}") from error
    for kind in METADATA:
        if kind in bodies:
            try:
                metadata = read_metadata(bodies[kind])
            except MetadataError as error:
                raise SipError(400, f"metadata: {error}") from error
            break
    return Content(lines, metadata)


@dataclass(frozen=True, slots=True)
class Timer:
    """A session timer (RFC 4028)."""

    seconds: int
    ours: bool
    """Whether this side refreshes the session."""
    required: bool
    """Whether the client knows timers, and shall keep to this one."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What a response says about it."""
        refresher = "uas" if self.ours else "uac"
        told = [("Session-Expires", f"{self.seconds};refresher={refresher}")]
        return told + ([("Require", "timer")] if self.required else [])


def read_timer(request: SipRequest) -> Timer | None:
    """Read what a request says about session timers; raises SipError for one that is too short."""
    text = request.headers.get_first("session-expires") or request.headers.get_first("x")
    if text is None:
        return None
    seconds, refresher = parse_session_expires(text)
    if seconds <= 0:
        raise SipError(400, "Session-Expires: not a number of seconds")
    if seconds < SHORTEST_TIMER:
        raise SipError(422, "Session-Expires: too short", [("Min-SE", str(SHORTEST_TIMER))])
    knows = "timer" in options(request, "supported") | options(request, "require")
    # A client that does not know timers cannot be asked to refresh.
    return Timer(min(seconds, 86_400), refresher == "uas" or not knows, knows)


@dataclass(slots=True)
class Recording:
    """A session from its INVITE to its BYE."""

    dialog: Dialog
    peer: Peer
    source: SiprecSource
    lines: tuple[Line, ...]
    metadata: Metadata
    address: str
    """Where packets are received."""
    timer: Timer | None
    call: Call | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while streams change."""
    over: bool = False
    """Whether the client knows that the session has ended."""
    refreshed: float = 0.0
    """Loop seconds of the latest sign that the client is there."""
    unacknowledged: asyncio.Task[None] | None = None
    """Repeats the latest acceptance of an INVITE."""
    keeping: asyncio.Task[None] | None = None
    _version: int = 0
    _ports: tuple[int, ...] = ()
    _keys: dict[str, bytes] = field(default_factory=dict)

    async def change(self, content: Content) -> None:
        """Receive what a request brings; raises SourceError without a port for it."""
        lines = content.lines if content.lines is not None else self.lines
        metadata = self.metadata
        if content.metadata is not None:
            metadata = content.metadata.over(metadata)
        self._ports = await self.source.update(lines, metadata)
        self.lines, self.metadata = lines, metadata
        self._version += content.lines is not None

    def description(self) -> str:
        """Return the SDP that takes the streams."""
        keys = [self._key(line) for line in self.lines]
        return answer(self.lines, self._ports, keys, self.address, self._version)

    def _key(self, line: Line) -> bytes:
        """Our own key for a stream, which stays what it was: nothing is ever sent with it."""
        if line.crypto is None:
            return b""
        wanted = SUITES[line.crypto.suite]
        known = self._keys.get(line.label, b"")
        if len(known) != wanted:
            known = self._keys[line.label] = secrets.token_bytes(wanted)
        return known

    def acknowledged(self) -> None:
        """The client has the acceptance."""
        if self.unacknowledged is not None:
            self.unacknowledged.cancel()
            self.unacknowledged = None
