"""What a recording client offers to send, and the answer that takes its audio (RFC 7866). Pure.

offer   m=audio 5000 RTP/AVP 0 8   a=sendonly  a=label:1
answer  m=audio 40000 RTP/AVP 0    a=recvonly  a=label:1
"""

import base64
import itertools
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from aiosipua import SdpMessage, parse_sdp
from aiosipua.sdp import MediaDescription

from monitor.ingest.codecs.audio_payload import SoundFormat, sound_format
from monitor.ingest.rtp.srtp import Crypto, read_crypto

LONGEST = 32 * 1024
"""Characters."""
_MOST = 16
"""Streams of one offer that are received; further ones are refused with port 0."""
CODECS = frozenset({"pcmu", "pcma", "g722", "g729", "opus", "amr", "amr-wb"})
"""What is decoded, as lower-case encoding names."""
_NAMES = {"g729a": "g729", "g729b": "g729", "g729ab": "g729", "g711u": "pcmu", "g711a": "pcma"}
"""Other names of the same, as some devices write them."""
_BESIDE = {"telephone-event": "telephone-event", "cn": "CN"}
"""What comes between sound: key presses (RFC 4733) and comfort noise (RFC 3389). A client that
offers them wants them in the answer: rtpengine refuses the whole subscription otherwise."""
_COMFORT_NOISE = 13
"""The payload type that needs no a=rtpmap (RFC 3551)."""
_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})
_LABEL = re.compile(r"[\x21-\x7e]{1,64}")
_PARAMETERS = re.compile(r"[\w=;, -]{1,200}", re.A)
_EVENTS = re.compile(r"[\d,-]{1,100}", re.A)


class SdpError(ValueError):
    """An offer that cannot be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One m= section of an offer."""

    kind: str
    profile: str
    formats: tuple[str, ...]
    label: str
    codecs: Mapping[int, SoundFormat]
    """Those that are decoded, by payload type; empty refuses the section."""
    rates: Mapping[int, str]
    """What follows the name in a=rtpmap, by payload type."""
    parameters: Mapping[int, str]
    """What AMR's a=fmtp says, by payload type: both sides must mean the same."""
    beside: Mapping[int, tuple[str, str]]
    """Name and rate as in a=rtpmap, and a=fmtp, of what is agreed to and not listened to."""
    held: bool
    """Whether the client sends nothing for now."""
    crypto: Crypto | None
    muxed: bool
    """Whether RTCP comes to the port of RTP."""
    offered: bool = True
    """Whether the client would send it: a port of 0 says no."""

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
    if len(offer.media) > 4 * _MOST:
        raise SdpError(f"more than {4 * _MOST} m= sections")
    lines: list[Line] = []
    labels: set[str] = set()
    for place, media in enumerate(offer.media):
        line = _line(offer, media, place)
        if line.taken and line.label in labels:
            line = replace(line, label=_other(line.label, labels))
        if line.taken and len(labels) >= _MOST:
            line = replace(line, codecs={}, beside={})
        if line.taken:
            labels.add(line.label)
        lines.append(line)
    if not labels:
        known = ", ".join(sorted(CODECS))
        raise SdpError(f"no m=audio section that sends {known} by RTP or SRTP with SDES")
    return tuple(lines)


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
        types = " ".join(str(number) for number in (*line.codecs, *line.beside))
        text.append(f"m={line.kind} {port} {line.profile} {types}")
        for number, codec in line.codecs.items():
            text.append(f"a=rtpmap:{number} {codec.name.upper()}{line.rates[number]}")
            if number in line.parameters:
                text.append(f"a=fmtp:{number} {line.parameters[number]}")
        for number, (name, parameters) in line.beside.items():
            text.append(f"a=rtpmap:{number} {name}")
            if parameters:
                text.append(f"a=fmtp:{number} {parameters}")
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
    kind = media.media if re.fullmatch(r"[A-Za-z0-9-]{1,16}", media.media, re.A) else ""
    # Such as udptl, of a fax beside the voice.
    if not kind or not re.fullmatch(r"[A-Za-z0-9/.-]{2,40}", media.proto, re.A):
        raise SdpError(f"m= section {place + 1} cannot be read")
    formats = tuple(each for each in media.formats[:64] if re.fullmatch(r"[\w.*-]{1,32}", each))
    given = (media.attributes.get("label") or [""])[0].strip()
    label = given if _LABEL.fullmatch(given) else str(place + 1)
    crypto = read_crypto(media.attributes.get("crypto", [])) if media.proto in _SECURE else None
    codecs: dict[int, SoundFormat] = {}
    parameters: dict[int, str] = {}
    rates: dict[int, str] = {}
    beside: dict[int, tuple[str, str]] = {}
    receivable = media.proto in _PLAIN or crypto is not None
    if kind == "audio" and media.port and receivable:
        for codec in media.codecs:
            name = codec.encoding_name.lower()
            name = _NAMES.get(name, name)
            number = codec.payload_type
            if number == _COMFORT_NOISE and not name:
                beside[number] = ("CN/8000", "")
            if not 0 <= number < 128:
                continue
            if name in _BESIDE:
                events = codec.fmtp if codec.fmtp and _EVENTS.fullmatch(codec.fmtp) else ""
                beside[number] = (f"{_BESIDE[name]}/{codec.clock_rate}", events)
            told = codec.fmtp or ""
            format_ = sound_format(name, codec.clock_rate, codec.channels or 1, told)
            if name in CODECS and format_ is not None:
                codecs[number] = format_
                if name.startswith("amr") and _PARAMETERS.fullmatch(told):
                    parameters[number] = told
                channels = f"/{codec.channels}" if name == "opus" else ""
                rates[number] = f"/{codec.clock_rate}{channels}"
    directions = ("sendonly", "sendrecv", "recvonly", "inactive")
    found = [d for d in directions if d in media.attributes]
    found = found or [d for d in directions if d in offer.attributes]
    return Line(
        kind=kind,
        profile=media.proto,
        formats=formats or ("0",),
        label=label,
        codecs=codecs,
        rates=rates,
        parameters=parameters,
        beside=beside if codecs else {},
        held=bool(found) and found[0] in ("recvonly", "inactive"),
        crypto=crypto,
        muxed="rtcp-mux" in media.attributes,
        offered=media.port > 0,
    )


def _other(label: str, taken: Container[str]) -> str:
    """A label for a section whose own is another's already."""
    return next(f"{label[:58]}.{n}" for n in itertools.count(2) if f"{label[:58]}.{n}" not in taken)
