"""A session description (RFC 8866) of RTP that is sent here → one that FFmpeg may be given. Pure.

Nothing of the given text is passed on but what is understood: FFmpeg opens the addresses that a
description names, and a description may come from the API.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

LONGEST = 16 * 1024
"""Characters."""
_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
"""Payload types that need no rtpmap (RFC 3551)."""
_CODECS = {
    "audio": frozenset({"opus", "pcmu", "pcma", "g722", "l16", "mpeg4-generic"}),
    "video": frozenset({"h264", "h265", "vp8", "vp9"}),
}
_RTPMAP = re.compile(r"(\d{1,3}) ([\w.-]{1,32}/\d{1,6}(?:/\d{1,2})?)", re.A)
_FMTP = re.compile(r"(\d{1,3}) ([\w=;,+/ .:-]{1,2000})", re.A)


class DescriptionError(ValueError):
    """A description that cannot be received; the message says why."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a description asks to receive."""

    text: str
    """For FFmpeg: the same streams, at our own address."""
    ports: tuple[int, ...]
    """UDP ports of RTP; of each also the next, for RTCP."""
    comfort_noise: bool = False
    """Whether the sender says that it sends comfort noise (RFC 3389) instead of a pause's sound."""


@dataclass(slots=True)
class _Media:
    kind: str
    port: int
    types: list[str]
    maps: dict[str, str]
    formats: dict[str, str]


def read_description(text: str, host: str, ports: tuple[int, int]) -> Description:
    """Read a description of RTP for `host`; raises DescriptionError.

    The first audio and the first video section count. `ports`: the first and the last that may be
    named. Addresses in the text are ignored: packets are received at `host` and nowhere else.
    """
    if len(text) > LONGEST:
        raise DescriptionError(f"longer than {LONGEST} characters")
    lines = text.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise DescriptionError("must begin with 'v=0'")
    chosen: dict[str, _Media] = {}
    for media in _sections(lines):
        if media.kind in _CODECS and media.port and media.kind not in chosen:
            chosen[media.kind] = media
    if not chosen:
        raise DescriptionError("no m=audio or m=video section with a port")
    used = sorted(media.port for media in chosen.values())
    for port in used:
        if not ports[0] <= port < ports[1]:
            raise DescriptionError(f"port {port} is not from {ports[0]} to {ports[1] - 1}")
    if len(used) == 2 and used[1] - used[0] < 2:
        raise DescriptionError(f"port {used[0] + 1} is needed for RTCP of port {used[0]}")
    family = f"IN IP{ip_address(host).version} {host}"
    lines = ["v=0", f"o=- 0 0 {family}", "s=-", f"c={family}", "t=0 0"]
    for media in chosen.values():
        lines += _lines(media)
    sound = chosen.get("audio")
    quiet = sound is not None and any(
        sound.maps.get(each, "CN" if each == "13" else "").upper().startswith("CN")
        for each in sound.types
    )
    return Description("".join(f"{line}\r\n" for line in lines), tuple(used), quiet)


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
    if kind not in _CODECS:
        return _Media(kind, 0, [], {}, {})
    if len(rest) < 3 or not re.fullmatch(r"\d{1,5}", rest[0], re.A):
        raise DescriptionError(f"m={kind}: needs a port, a profile and a payload type")
    port, profile, *types = rest
    if int(port) and profile not in ("RTP/AVP", "RTP/AVPF"):
        raise DescriptionError(f"m={kind}: only RTP/AVP and RTP/AVPF are received, not encrypted")
    return _Media(kind, int(port), types, {}, {})


def _lines(media: _Media) -> list[str]:
    """Return the section with its first payload type that can be decoded."""
    for number in media.types:
        encoding = media.maps.get(number) or _STATIC.get(number, "")
        if encoding.partition("/")[0].lower() not in _CODECS[media.kind]:
            continue
        lines = [f"m={media.kind} {media.port} RTP/AVP {number}", f"a=rtpmap:{number} {encoding}"]
        if number in media.formats:
            lines.append(f"a=fmtp:{number} {media.formats[number]}")
        return lines
    known = ", ".join(sorted(_CODECS[media.kind]))
    raise DescriptionError(f"m={media.kind}: none of {known} is offered")
