"""Whom each stream of a recording session carries, and whether that is somebody to judge. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from monitor.ingest.recording_metadata import Metadata, Party
from monitor.ingest.recording_offer import Line

_LONGEST_NAME = 80
"""Characters of a participant's name."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom a stream carries."""

    participant: str
    scored: bool


def voices(
    lines: Sequence[Line], metadata: Metadata, agents: Sequence[str] = (), both: bool = False
) -> dict[str, Voice]:
    """Say whom each stream carries, by label.

    Somebody is of our side if an address matches one of `agents`, and then scored only if `both`
    are. Without a match nobody is, and everybody is scored: nothing in the protocol says which
    party is the far one.
    """
    found: dict[str, Voice] = {}
    names: set[str] = set()
    for line in lines:
        if not line.taken:
            continue
        parties = metadata.speakers(line.label)
        name = "+".join(filter(None, map(_name, parties))) or f"stream {line.label}"
        name = name[:_LONGEST_NAME]
        copy = 2
        while name in names:
            name, copy = f"{name[: _LONGEST_NAME - 4]} {copy}", copy + 1
        names.add(name)
        ours = bool(parties) and all(_matches(party, agents) for party in parties)
        found[line.label] = Voice(name, both or not ours)
    return found


def _name(party: Party) -> str:
    words = party.address.partition(":")[2].partition(";")[0] or party.address or party.name
    return "".join(c if c.isalnum() or c in "_ .@+-" else "-" for c in words).strip()


def _matches(party: Party, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(party.address.lower(), pattern.lower()) for pattern in patterns)
