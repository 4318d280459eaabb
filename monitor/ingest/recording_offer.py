"""What a recording client offers to send, and the answer that takes its audio (RFC 7866). Pure.

offer   m=audio 5000 RTP/AVP 0 8   a=sendonly  a=label:1
answer  m=audio 40000 RTP/AVP 0    a=recvonly  a=label:1
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiosipua import SdpMessage, parse_sdp
from aiosipua.sdp import MediaDescription

LONGEST = 32 * 1024
"""Characters."""
_MOST = 16
"""Streams of one offer."""
CODECS = frozenset({"pcmu", "pcma", "g722", "g729", "opus"})
"""What is decoded, as lower-case encoding names."""
_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})
SUITES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""SRTP suites that are taken (RFC 4568, RFC 7714), and the bytes of key and salt of each."""
_LABEL = re.compile(r"[\x21-\x7e]{1,64}")
_CRYPTO = re.compile(
    r"(\d{1,9}) (\w{1,40}) inline:([A-Za-z0-9+/]{1,100}={0,2})(?:\|.{0,40})?", re.A
)


class SdpError(ValueError):
    """An offer that cannot be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """How a stream is encrypted (RFC 4568)."""

    tag: str
    suite: str
    key: bytes
    """Key and salt."""


@dataclass(frozen=True, slots=True)
class Line:
    """One m= section of an offer."""

    kind: str
    profile: str
    formats: tuple[str, ...]
    label: str
    codecs: Mapping[int, str]
    """Lower-case names of those that are decoded, by payload type; empty refuses the section."""
    rates: Mapping[int, str]
    """What follows the name in a=rtpmap, by payload type."""
    held: bool
    """Whether the client sends nothing for now."""
    crypto: Crypto | None
    muxed: bool
    """Whether RTCP comes to the port of RTP."""

    @property
    def taken(self) -> bool:
        """Whether the section's media is received."""
        return bool(self.codecs)


def read_offer(sdp: str) -> tuple[Line, ...]:
    """Read an offer; raises SdpError if it cannot be read or has no audio to receive."""
    if len(sdp) > LONGEST:
        raise SdpError(f"longer than {LONGEST} characters")
    if not sdp.startswith("v=0"):
        raise SdpError("an offer must begin with 'v=0'")
    try:
        offer = parse_sdp(sdp)
    except ValueError as error:
        raise SdpError("cannot be parsed") from error
    if len(offer.media) > _MOST:
        raise SdpError(f"more than {_MOST} m= sections")
    lines = tuple(_line(offer, media, place) for place, media in enumerate(offer.media))
    labels = [line.label for line in lines if line.taken]
    if len(set(labels)) < len(labels):
        raise SdpError("two m= sections with the same a=label")
    if not labels:
        known = ", ".join(sorted(CODECS))
        raise SdpError(f"no m=audio section that sends {known} by RTP or SRTP with SDES")
    return lines


def answer(
    lines: Sequence[Line], ports: Sequence[int], keys: Sequence[bytes], address: str, version: int
) -> str:
    """Write the answer: our port for each of the `lines`, 0 for those that are refused.

    `keys`: our own SRTP key and salt for each, never used as nothing is sent; `address`: where
    packets are received; `version` counts answers of one session.
    """
    family = f"IN IP{6 if ':' in address else 4} {address}"
    text = ["v=0", f"o=- 1 {version} {family}", "s=-", f"c={family}", "t=0 0"]
    for line, port, key in zip(lines, ports, keys, strict=True):
        if not line.taken:
            text.append(f"m={line.kind} 0 {line.profile} {' '.join(line.formats)}")
            continue
        types = " ".join(str(number) for number in line.codecs)
        text.append(f"m={line.kind} {port} {line.profile} {types}")
        for number, codec in line.codecs.items():
            text.append(f"a=rtpmap:{number} {codec.upper()}{line.rates[number]}")
        if line.label:
            text.append(f"a=label:{line.label}")
        text.append("a=inactive" if line.held else "a=recvonly")
        if line.muxed:
            text.append("a=rtcp-mux")
        if line.crypto is not None:
            own = base64.b64encode(key).decode()
            text.append(f"a=crypto:{line.crypto.tag} {line.crypto.suite} inline:{own}")
    return "".join(f"{each}\r\n" for each in text)


def _line(offer: SdpMessage, media: MediaDescription, place: int) -> Line:
    kind = media.media if re.fullmatch(r"[a-z]{1,16}", media.media) else ""
    if not kind or not re.fullmatch(r"[A-Z/]{3,32}", media.proto):
        raise SdpError(f"m= section {place + 1} cannot be read")
    formats = tuple(each for each in media.formats[:64] if re.fullmatch(r"[\w.-]{1,32}", each))
    given = media.attributes.get("label") or [str(place + 1)]
    if not _LABEL.fullmatch(given[0]):
        raise SdpError("an a=label that is not a token")
    crypto = _crypto(media) if media.proto in _SECURE else None
    codecs: dict[int, str] = {}
    rates: dict[int, str] = {}
    receivable = media.proto in _PLAIN or crypto is not None
    if kind == "audio" and media.port and receivable:
        for codec in media.codecs:
            name = codec.encoding_name.lower()
            if name in CODECS and 0 <= codec.payload_type < 128:
                codecs[codec.payload_type] = name
                channels = f"/{codec.channels}" if name == "opus" else ""
                rates[codec.payload_type] = f"/{codec.clock_rate}{channels}"
    directions = ("sendonly", "sendrecv", "recvonly", "inactive")
    found = [d for d in directions if d in media.attributes]
    found = found or [d for d in directions if d in offer.attributes]
    return Line(
        kind=kind,
        profile=media.proto,
        formats=formats or ("0",),
        label=given[0],
        codecs=codecs,
        rates=rates,
        held=bool(found) and found[0] in ("recvonly", "inactive"),
        crypto=crypto,
        muxed="rtcp-mux" in media.attributes,
    )


def _crypto(media: MediaDescription) -> Crypto | None:
    """Return the first suite that is known, or None."""
    for text in media.attributes.get("crypto", []):
        found = _CRYPTO.fullmatch(text.strip())
        if found is None or found[2] not in SUITES:
            continue
        try:
            key = base64.b64decode(found[3], validate=True)
        except ValueError as error:
            raise SdpError("an a=crypto key that is not base64") from error
        if len(key) != SUITES[found[2]]:
            raise SdpError("an a=crypto key of the wrong length")
        return Crypto(found[1], found[2], key)
    return None
