"""One recording session: the dialog with its client, and the call that is monitored."""

import asyncio
import secrets
from dataclasses import dataclass, field

from aiosipua import Dialog, SipRequest
from aiosipua.session_timer import parse_session_expires

from monitor.calls.call import Call
from monitor.ingest.connection.anomaly import Anomalies, Anomaly, AnomalyKind
from monitor.ingest.rtp.srtp import SUITES
from monitor.ingest.siprec.recording_metadata import Metadata, MetadataError, read_metadata
from monitor.ingest.siprec.recording_offer import Line, SdpError, answer, read_offer
from monitor.ingest.siprec.siprec_source import SiprecSource
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
    records: bool = False
    """Whether there is metadata, readable or not: only who wants to record sends any."""
    odd: tuple[Anomaly, ...] = ()
    """What could not be used."""


def read_content(request: SipRequest) -> Content:
    """Read the bodies of INVITE or UPDATE; raises SipError."""
    bodies = parts(request)
    sdp = next((b for kind, b in bodies.items() if _kind(kind, b) == SDP), None)
    document = next((b for kind, b in bodies.items() if _kind(kind, b) in METADATA), None)
    if bodies and sdp is None and document is None:
        raise SipError(415, "body: neither SDP nor metadata", [("Accept", f"{SDP}, {METADATA[0]}")])
    lines = metadata = None
    odd: list[Anomaly] = []
    if sdp is not None:
        try:
            # Only names may be in another encoding, and they are not used.
            lines = read_offer(sdp.decode(errors="replace"))
        except SdpError as error:
            raise SipError(488, f"sdp: {error}") from error
        refused = {line.kind for line in lines if not line.taken and line.offered}
        odd += (
            Anomaly(AnomalyKind.SECTION, f"m={kind}", "cannot be received, and is refused alone")
            for kind in sorted(refused)
        )
    if document is not None:
        try:
            metadata = read_metadata(document)
        except MetadataError as error:
            detail = f"{error}; the call goes on without names"
            odd.append(Anomaly(AnomalyKind.METADATA, "metadata", detail))
        else:
            odd += noted(metadata)
    return Content(lines, metadata, document is not None, tuple(odd))


def noted(metadata: Metadata) -> list[Anomaly]:
    """What could not be used of a document."""
    return [Anomaly(AnomalyKind.METADATA, words, "passed over") for words in metadata.passed_over]


def _kind(kind: str, body: bytes) -> str:
    """The type of a body; by its first bytes if what is said is none or says too little."""
    if kind not in ("", "text/plain", "application/xml", "text/xml", "application/octet-stream"):
        return kind
    start = body.lstrip(b"\xef\xbb\xbf\r\n\t ")[:2000]
    if start.startswith(b"v=0"):
        return SDP
    return METADATA[0] if start.startswith(b"<") and b"recording" in start else kind


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
        # No number of seconds: whether the client is there is asked all the same.
        return None
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
    anomalies: Anomalies
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
        metadata = metadata.fitted([line.label for line in lines if line.taken])
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

    @property
    def name(self) -> str:
        """The call's id, for the log."""
        return self.call.id if self.call is not None else ""

    def fail(self, error: BaseException) -> None:
        """End the session because what looks after it died of `error`."""
        self.source.hang_up("fault")

    def acknowledged(self) -> None:
        """The client has the acceptance."""
        if self.unacknowledged is not None:
            self.unacknowledged.cancel()
            self.unacknowledged = None
