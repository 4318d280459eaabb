"""Whom each stream of a recording session carries, and whether that is somebody to judge. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from monitor.ingest.siprec.recording_metadata import Metadata, Party
from monitor.ingest.siprec.recording_offer import Line
from monitor.ingest.telephony.roster import LONGEST_NAME, plain

_BRACKETS = re.compile(r"<([^<>]*)>")
_SCHEME = re.compile(r"^(?:sips?|tel|urn|im|pres|xmpp):", re.I)
_PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom a stream carries."""

    participant: str
    scored: bool


def voices(
    lines: Sequence[Line],
    metadata: Metadata,
    agents: Sequence[str] = (),
    both: bool = False,
    before: Mapping[str, Voice] | None = None,
) -> dict[str, Voice]:
    """Say whom each stream carries, by label.

    Somebody is of our side if an address matches one of `agents`, and then scored only if `both`
    are. Without a match nobody is, and everybody is scored: nothing in the protocol says which
    party is the far one. The same where who speaks was guessed. `before`: whom they carried so
    far; a stream on hold that nobody is heard in any more keeps its voice.
    """
    found: dict[str, Voice] = {}
    names: set[str] = set()
    for line in lines:
        if not line.taken:
            continue
        parties = metadata.speakers(line.label)
        kept = (before or {}).get(line.label)
        if not parties and line.held and kept is not None and kept.participant not in names:
            found[line.label] = kept
            names.add(kept.participant)
            continue
        name = "+".join(filter(None, map(_name, parties))) or f"stream {line.label}"
        name = name[:LONGEST_NAME]
        copy = 2
        while name in names:
            name, copy = f"{name[: LONGEST_NAME - 4]} {copy}", copy + 1
        names.add(name)
        ours = bool(parties) and all(_matches(party, agents) for party in parties)
        found[line.label] = Voice(name, both or not ours or metadata.guessed)
    return found


def _name(party: Party) -> str:
    return plain(_bare(party.address) or party.address or party.name)


def _bare(address: str) -> str:
    """What an address says without brackets, scheme, password and parameters."""
    inside = _BRACKETS.search(address)
    text = _SCHEME.sub("", (inside[1] if inside else address).strip())
    text = text.partition(";")[0].partition("?")[0]
    user, at, host = text.rpartition("@")
    return f"{user.partition(':')[0]}{at}{host}" if at else text


def _matches(party: Party, patterns: Iterable[str]) -> bool:
    shown = {form.lower() for form in _forms(party.address)}
    return any(fnmatchcase(form, pattern.lower()) for form in shown for pattern in patterns)


def _forms(address: str) -> Iterator[str]:
    """Yield the ways in which a pattern may have written an address."""
    yield address
    bare = _bare(address)
    for text in (bare, _PORT.sub("", bare)):
        yield from (text, f"sip:{text}", f"sips:{text}", f"tel:{text}")
