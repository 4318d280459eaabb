"""SDP offers as senders write them → what aiortc can be given, and its answer → theirs. Pure.

    offer   audio Opus | video AV1 (refused) | application
    aiortc  audio Opus |                     | application
    answer  audio Opus | video, port 0       | application

aiortc can refuse no section, compares H.264 profiles to the letter, and stumbles over lines that
others pass over (RFC 8866: unknown attributes are ignored).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiortc.sdp import candidate_from_sdp

_M_LINE = re.compile(r"m=([^ ]+) (\d+)(?:/\d+)? ([^ ]+) ?(.*)")
_NATIVE = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
"""The profile of H.264 that aiortc is told; what is decoded follows the pictures alone."""
_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
"""Payload types that need no a=rtpmap (RFC 3551)."""
_TRANSPORT = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
"""What a bundled section may leave to the one that carries the bundle (RFC 8843)."""
_DATA = frozenset({"UDP/DTLS/SCTP", "DTLS/SCTP", "TCP/DTLS/SCTP"})


@dataclass(frozen=True, slots=True)
class Section:
    """One m= section."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    lines: tuple[str, ...]
    """Without the first."""

    def values(self, name: str) -> list[str]:
        """What follows `a=name:`, or nothing after a bare `a=name`, for each such line."""
        return [
            line.partition(":")[2].strip()
            for line in self.lines
            if line == f"a={name}" or line.startswith(f"a={name}:")
        ]

    def value(self, name: str) -> str:
        """The first of them, or nothing."""
        return next(iter(self.values(name)), "")

    @property
    def mid(self) -> str:
        """How bundles and candidates name it."""
        return self.value("mid")

    @property
    def live(self) -> bool:
        """Whether it is offered at all: port 0 refuses it, unless its bundle carries it."""
        return self.port > 0 or bool(self.values("bundle-only"))

    def codecs(self) -> Mapping[str, str]:
        """What follows the payload type in a=rtpmap, by payload type."""
        found = (value.partition(" ") for value in self.values("rtpmap"))
        return {number: name.strip() for number, _, name in found}

    def text(self, port: int | None = None, lines: Sequence[str] | None = None) -> list[str]:
        """Its lines, or these, with another port."""
        shown = self.port if port is None else port
        first = f"m={self.kind} {shown} {self.profile} {' '.join(self.formats)}".rstrip()
        return [first, *(self.lines if lines is None else lines)]


@dataclass(frozen=True, slots=True)
class Fitted:
    """An offer that aiortc can be given, and what was changed about it."""

    sdp: str
    refused: Mapping[int, Section] = field(default_factory=dict)
    """By place among the offer's sections."""
    mids: tuple[str, ...] = ()
    """Of all sections of the offer, in order."""
    bundled: bool = True
    carrier: str = ""
    """The mid that candidates of refused sections are for."""
    profiles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What a=fmtp of H.264 was, by mid and payload type; empty if there was none."""

    def profiled(self, sdp: str) -> str:
        """Name H.264 in aiortc's answer as the offer did."""
        session, sections = _parsed(sdp)
        lines = (line for section in sections for line in _restored(section, self.profiles))
        return _joined([*session, *lines])

    def completed(self, sdp: str) -> str:
        """Refuse, in an answer, what the offer had and aiortc was not given: by port 0."""
        session, sections = _parsed(sdp)
        if not self.bundled:
            session = [line for line in session if not line.startswith("a=group:BUNDLE")]
        made = [section.text() for section in sections]
        for place, section in sorted(self.refused.items()):
            mid = [f"a=mid:{section.mid}"] if section.mid else []
            made.insert(place, section.text(0, ["c=IN IP4 0.0.0.0", *mid, "a=inactive"]))
        return _joined([*session, *(line for section in made for line in section)])

    def carried(self, mid: str | None, place: int | None) -> str:
        """The mid that a candidate is for: that of the bundle, if its own section is refused."""
        if mid is None:
            mid = self.mids[place] if place is not None and place < len(self.mids) else ""
        refused = any(section.mid == mid for section in self.refused.values())
        return self.carrier if refused or mid not in self.mids else mid


def fitted(
    sdp: str, receivable: Callable[[Section], bool], native: Callable[[str], bool]
) -> Fitted:
    """Make an offer fit aiortc.

    `receivable`: whether a section of audio or video names a codec that is decoded; `native`:
    whether aiortc takes a section, as text, as it is.
    """
    session, sections = _parsed(sdp)
    sections = [_readable(section) for section in sections]
    bundle = next((line for line in session if line.startswith("a=group:BUNDLE")), "")
    bundled = bundle.split()[1:]
    sections = _shared(sections, bundled, any(line.startswith("a=ice-ufrag:") for line in session))
    refused = {
        place: section for place, section in enumerate(sections) if not _taken(section, receivable)
    }
    kept = [section for place, section in enumerate(sections) if place not in refused]
    gone = {section.mid for section in refused.values()}
    known = {section.mid for section in sections}
    mids = [mid for mid in bundled if mid in known and mid not in gone]
    carrier = mids[0] if mids else kept[0].mid if kept else ""
    profiles: dict[tuple[str, str], str] = {}
    lines: list[str] = []
    for line in session:
        if line == bundle and bundle:
            lines += [" ".join(["a=group:BUNDLE", *mids])] if mids else []
        else:
            lines.append(line)
    candidates = [c for s in refused.values() if s.mid in bundled for c in _candidates(s)]
    for section in kept:
        text = section.text()
        if section.mid == carrier and candidates and not any(_candidates(section)):
            text += candidates
        if section.kind == "video" and not native(_joined([*session, *text])):
            text = _simplified(section, text, profiles)
        lines += text
    offered = tuple(section.mid for section in sections)
    return Fitted(_joined(lines), refused, offered, bool(mids), carrier, profiles)


def _parsed(sdp: str) -> tuple[list[str], list[Section]]:
    """The session's lines and the sections; what has no readable first line is none."""
    session: list[str] = []
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in (each.rstrip() for each in sdp.splitlines()):
        first = _M_LINE.fullmatch(line)
        if first is not None:
            found.append((first, []))
        elif line and not found:
            session.append(line)
        elif line:
            found[-1][1].append(line)
    sections = [
        Section(m[1], int(m[2]), m[3], tuple(m[4].split()), tuple(lines)) for m, lines in found
    ]
    return session, sections


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _readable(section: Section) -> Section:
    """Without lines that aiortc cannot read and nobody needs; with those that go without saying."""
    known = section.codecs()
    added = [
        f"a=rtpmap:{number} {_STATIC[number]}"
        for number in section.formats
        if section.kind == "audio" and number in _STATIC and number not in known
    ]
    numbers = {*known, *(line.partition(":")[2].partition(" ")[0] for line in added)}
    kept = [line for line in (_line(line, numbers) for line in section.lines) if line]
    return Section(section.kind, section.port, section.profile, section.formats, (*added, *kept))


def _line(line: str, numbers: set[str]) -> str:
    """A line as aiortc can read it; empty to leave it out."""
    name, _, value = line.partition(":")
    words = value.split()
    if name in ("a=fmtp", "a=rtcp-fb"):
        fits = len(words) > 1 and (words[0] in numbers or (name, words[0]) == ("a=rtcp-fb", "*"))
        return line if fits else ""
    if name == "a=extmap":
        # Attributes of an extension may follow its name.
        return f"{name}:{' '.join(words[:2])}" if len(words) > 1 else ""
    if name == "a=ssrc":
        return line if len(words) > 1 and ":" in value and words[0].isdigit() else ""
    if name == "a=candidate":
        try:
            candidate_from_sdp(value)
        except (ValueError, IndexError, AssertionError):
            return ""
    return line


def _shared(sections: list[Section], bundled: Sequence[str], session: bool) -> list[Section]:
    """Give sections of a bundle what they leave to the one that carries it."""
    if session or not bundled:
        return sections
    carrier = next((s for s in sections if s.mid == bundled[0]), None)
    lines = [
        f"a={name}:{value}"
        for name in _TRANSPORT
        for value in (carrier.values(name) if carrier is not None else [])
    ]
    return [
        Section(s.kind, s.port, s.profile, s.formats, (*s.lines, *lines))
        if s.mid in bundled and not s.values("ice-ufrag")
        else s
        for s in sections
    ]


def _taken(section: Section, receivable: Callable[[Section], bool]) -> bool:
    if not section.live:
        return False
    if section.kind == "application":
        return section.profile in _DATA
    return section.kind in ("audio", "video") and receivable(section)


def _candidates(section: Section) -> Iterator[str]:
    return (
        line
        for line in section.lines
        if line.startswith("a=candidate:") or line == "a=end-of-candidates"
    )


def _simplified(
    section: Section, text: list[str], profiles: dict[tuple[str, str], str]
) -> list[str]:
    """Call every H.264 of a section by the profile that aiortc knows."""
    out = list(text)
    for number, name in section.codecs().items():
        if not name.lower().startswith("h264/"):
            continue
        start = f"a=fmtp:{number} "
        given = next((line for line in out if line.startswith(start)), "")
        profiles[(section.mid, number)] = given.removeprefix(start)
        if given:
            out.remove(given)
        place = next(i for i, line in enumerate(out) if line.startswith(f"a=rtpmap:{number} "))
        out.insert(place + 1, start + _NATIVE)
    return out


def _restored(section: Section, profiles: Mapping[tuple[str, str], str]) -> list[str]:
    """Call H.264 by the profile that was offered."""
    out: list[str] = []
    for line in section.text():
        number = line.removeprefix("a=fmtp:").partition(" ")[0]
        given = profiles.get((section.mid, number)) if line.startswith("a=fmtp:") else None
        if given is None:
            out.append(line)
        elif given:
            out.append(f"a=fmtp:{number} {given}")
    return out
