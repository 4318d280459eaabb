"""A session description (RFC 8866) of RTP that is sent here. Pure.

Of the text nothing counts but ports, payload types and what they mean; the addresses in it are
ignored.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from monitor.ingest.codecs.audio_payload import SoundFormat, sound_format
from monitor.ingest.codecs.video_payload import PictureFormat, picture_format

Format = TypeVar("Format", SoundFormat, PictureFormat)

LONGEST = 16 * 1024
"""Characters."""
_TYPES = 128
"""Payload types have seven bits."""
_STATIC = {
    "0": "PCMU/8000", "3": "GSM/8000", "8": "PCMA/8000", "9": "G722/8000",
    "10": "L16/44100/2", "11": "L16/44100", "18": "G729/8000",
}  # fmt: skip
"""Payload types that need no rtpmap (RFC 3551)."""
_KNOWN = {
    "audio": "AMR, AMR-WB, G722, G729, GSM, L16, MPEG4-GENERIC (AAC-hbr), OPUS, PCMA, PCMU",
    "video": "H264, H265, VP8, VP9",
}
_RTPMAP = re.compile(r"(\d{1,3}) ([\w.-]{1,32}/\d{1,6}(?:/\d{1,2})?)", re.A)
_FMTP = re.compile(r"(\d{1,3}) ([\w=;,+/ .:-]{1,2000})", re.A)


class DescriptionError(ValueError):
    """A description that cannot be received; the message says why."""


@dataclass(frozen=True, slots=True)
class Line(Generic[Format]):
    """One m= section that is received."""

    port: int
    """UDP port of RTP; the next is for RTCP."""
    formats: Mapping[int, Format]
    """How packets are read, by payload type; whatever else comes is passed over."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a description asks to receive; one of the two at least."""

    sound: Line[SoundFormat] | None
    pictures: Line[PictureFormat] | None

    @property
    def ports(self) -> tuple[int, ...]:
        """UDP ports of RTP; of each also the next, for RTCP."""
        ports = (self.sound and self.sound.port, self.pictures and self.pictures.port)
        return tuple(sorted(port for port in ports if port))


@dataclass(slots=True)
class _Media:
    kind: str
    port: int
    types: list[str]
    maps: dict[str, str]
    formats: dict[str, str]


def read_description(text: str, ports: tuple[int, int]) -> Description:
    """Read a description of RTP; raises DescriptionError.

    The first audio and the first video section count. `ports`: the first and the last that may be
    named.
    """
    if len(text) > LONGEST:
        raise DescriptionError(f"longer than {LONGEST} characters")
    lines = text.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise DescriptionError("must begin with 'v=0'")
    chosen: dict[str, _Media] = {}
    for media in _sections(lines):
        if media.kind in _KNOWN and media.port and media.kind not in chosen:
            chosen[media.kind] = media
    if not chosen:
        raise DescriptionError("no m=audio or m=video section with a port")
    used = sorted(media.port for media in chosen.values())
    for port in used:
        if not ports[0] <= port < ports[1]:
            raise DescriptionError(f"port {port} is not from {ports[0]} to {ports[1] - 1}")
    if len(used) == 2 and used[1] - used[0] < 2:
        raise DescriptionError(f"port {used[0] + 1} is needed for RTCP of port {used[0]}")
    sound, pictures = chosen.get("audio"), chosen.get("video")
    return Description(
        None if sound is None else Line(sound.port, _formats(sound, _sound)),
        None if pictures is None else Line(pictures.port, _formats(pictures, _pictures)),
    )


def _sections(lines: list[str]) -> list[_Media]:
    found: list[_Media] = []
    for line in lines:
        name, _, value = line.strip().partition(":")
        if line.startswith("m="):
            found.append(_media(line[2:]))
        elif not found or name not in ("a=rtpmap", "a=fmtp"):
            continue
        elif name == "a=rtpmap":
            mapped = _RTPMAP.fullmatch(value)
            if mapped is None:
                raise DescriptionError("an a=rtpmap line that cannot be read")
            found[-1].maps[mapped[1]] = mapped[2]
        else:
            parameters = _FMTP.fullmatch(value)
            if parameters is None:
                raise DescriptionError("an a=fmtp line that cannot be read")
            found[-1].formats[parameters[1]] = parameters[2]
    return found


def _media(line: str) -> _Media:
    kind, *rest = line.split() or [""]
    if kind not in _KNOWN:
        return _Media(kind, 0, [], {}, {})
    if len(rest) < 3 or not re.fullmatch(r"\d{1,5}", rest[0], re.A):
        raise DescriptionError(f"m={kind}: needs a port, a profile and a payload type")
    port, profile, *types = rest
    if int(port) and profile not in ("RTP/AVP", "RTP/AVPF"):
        raise DescriptionError(f"m={kind}: only RTP/AVP and RTP/AVPF are received, not encrypted")
    return _Media(kind, int(port), types, {}, {})


def _formats(media: _Media, read: Callable[[str, str], Format | None]) -> dict[int, Format]:
    """All payload types of a section that can be decoded: senders change from one to another."""
    found: dict[int, Format] = {}
    for number in media.types:
        encoding = media.maps.get(number) or _STATIC.get(number, "")
        format_ = read(encoding, media.formats.get(number, ""))
        if format_ is not None and number.isdecimal() and int(number) < _TYPES:
            found[int(number)] = format_
    if not found:
        raise DescriptionError(f"m={media.kind}: none of {_KNOWN[media.kind]} is offered")
    return found


def _sound(encoding: str, parameters: str) -> SoundFormat | None:
    name, _, rest = encoding.partition("/")
    rate, _, channels = rest.partition("/")
    return sound_format(name, int(rate or 0), int(channels or 1), parameters)


def _pictures(encoding: str, parameters: str) -> PictureFormat | None:
    return picture_format(encoding.partition("/")[0], parameters)
