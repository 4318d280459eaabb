"""What a WHIP client says: SDP offers and trickled candidates (RFC 9725, RFC 8840). Pure."""

from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.rtp.aiortc_adapter import receivable_video
from monitor.ingest.webrtc.sections import Fitted, Section, fitted

AUDIO_CODECS = frozenset({"opus", "g722", "pcmu", "pcma"})
VIDEO_CODECS = frozenset({"vp8", "h264", "vp9", "av1"})
"""What is decoded, as lower-case encoding names."""


UNREADABLE = (
    ValueError, IndexError, KeyError, AssertionError, AttributeError, StopIteration, TypeError
)  # fmt: skip
"""What aiortc's SDP parser raises for text that is none; found by fuzzing."""


class OfferError(Exception):
    """An offer or candidate that cannot be taken; `status` is the HTTP status that says so."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Offer:
    """What a valid offer brings."""

    sdp: str
    fitted: Fitted
    """The same for aiortc, without what is refused."""
    audio: bool
    video: bool
    refused: tuple[Anomaly, ...] = ()
    """Sections that would send what cannot be received."""


def read_offer(sdp: str) -> Offer:
    """Check an offer; raises OfferError with what is wrong and what would be right.

    A section that cannot be received is refused alone, if another one can.
    """
    sdp = sdp.lstrip("\ufeff\r\n\t ")
    if not sdp.startswith("v=0"):
        raise OfferError(400, "Malformed SDP", "sdp: an offer must begin with 'v=0'")
    try:
        made = fitted(sdp, _receivable, receivable_video)
        description = SessionDescription.parse(made.sdp)
    except UNREADABLE as error:
        raise OfferError(400, "Malformed SDP", f"sdp: cannot be parsed ({error})") from error
    if not bundles(description):
        raise OfferError(400, "Malformed SDP", "sdp: a=group:BUNDLE names a mid that is not there")
    sent = [m for m in description.media if m.kind in ("audio", "video") and _sends(m)]
    if not sent:
        raise _nothing(made)
    for media in description.media:
        if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
            raise OfferError(400, "Malformed SDP", f"sdp: m={media.kind} has no ICE credentials")
        if media.dtls is None or not media.dtls.fingerprints:
            raise OfferError(400, "Malformed SDP", f"sdp: m={media.kind} has no DTLS fingerprint")
    kinds = {m.kind for m in sent}
    refused = tuple(
        Anomaly(AnomalyKind.SECTION, f"m={s.kind}", f"refused alone, by port 0: {_shortfall(s)}")
        for s in made.refused.values()
        if s.live
    )
    return Offer(sdp, made, "audio" in kinds, "video" in kinds, refused)


def _receivable(section: Section) -> bool:
    return not _names(section).isdisjoint(AUDIO_CODECS if section.kind == "audio" else VIDEO_CODECS)


def _names(section: Section) -> set[str]:
    return {name.partition("/")[0].lower() for name in section.codecs().values()}


def _nothing(made: Fitted) -> OfferError:
    """Say why nothing of an offer can be monitored."""
    for section in made.refused.values():
        if section.live and section.kind in ("audio", "video"):
            return OfferError(
                422, "Unsupported codec", f"sdp: m={section.kind} {_shortfall(section)}"
            )
    return OfferError(
        422, "Nothing to monitor", "sdp: no m=audio or m=video section that sends media"
    )


def _shortfall(section: Section) -> str:
    """What a section lacks, in words."""
    if section.kind not in ("audio", "video"):
        return "is of a kind that is not received"
    supported = AUDIO_CODECS if section.kind == "audio" else VIDEO_CODECS
    names = ", ".join(sorted(_names(section) - {"rtx", "red", "ulpfec"}))[:100] or "no codec"
    return f"offers {names}; this service receives {', '.join(sorted(supported))}"


def bundles(description: SessionDescription) -> bool:
    """Whether bundles name sections that can carry them: aiortc takes that for granted."""
    mids = {m.rtp.muxId for m in description.media if m.kind in ("audio", "video", "application")}
    items = (
        item for group in description.group if group.semantic == "BUNDLE" for item in group.items
    )
    return mids.issuperset(items)


def _sends(media: object) -> bool:
    return getattr(media, "direction", None) in (None, "sendonly", "sendrecv")


def read_candidates(fragment: str) -> list[RTCIceCandidate | None]:
    """Read a trickle-ice-sdpfrag body; None stands for the end of candidates.

    Raises OfferError for a candidate that cannot be parsed.
    """
    candidates: list[RTCIceCandidate | None] = []
    mid: str | None = None
    index = -1
    for line in fragment.splitlines():
        if line.startswith("m="):
            index += 1
            mid = None
        elif line.startswith("a=mid:"):
            mid = line[6:].strip()
        elif line.startswith("a=candidate:"):
            try:
                candidate = candidate_from_sdp(line[12:])
            except UNREADABLE as error:
                raise OfferError(
                    400, "Malformed candidate", f"sdpfrag: {line[:80]!r} cannot be parsed"
                ) from error
            candidate.sdpMid = mid
            candidate.sdpMLineIndex = max(index, 0) if mid is None else None
            candidates.append(candidate)
        elif line.startswith("a=end-of-candidates"):
            candidates.append(None)
    return candidates
