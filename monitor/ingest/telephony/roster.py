"""What those who take part in a meeting are called: each a name of their own. Pure."""

from dataclasses import dataclass

from monitor.ingest.connection.anomaly import AnomalyKind
from monitor.ingest.connection.room import MOST
from monitor.ingest.telephony.dialect import MessageError

LONGEST_NAME = 80
"""Characters of a participant's name."""
UNNAMED = "unnamed"
"""Whoever is heard without anything that tells them apart."""
_REMEMBERED = 1000
"""People of one meeting whose names are kept."""


def plain(name: str) -> str:
    """A name with nothing in it that means something elsewhere."""
    return "".join(c if c.isalnum() or c in "_ .@+-" else "-" for c in name).strip()


@dataclass(slots=True)
class _Guest:
    name: str
    there: bool = False


class Roster:
    """Names by the platform's own keys; two people of one name are told apart."""

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}
        self._called: dict[str, str] = {}
        """What people are called who were announced, and have not been heard."""

    def announce(self, key: str, called: str) -> None:
        """Somebody is there and called so; who is known keeps their name."""
        if len(self._called) < _REMEMBERED:
            self._called[key] = called

    def name(self, key: str, called: str = "") -> str:
        """Whose media has this key; raises MessageError when there are too many people."""
        guest = self._guests.get(key)
        if guest is not None and guest.there:
            return guest.name
        if sum(each.there for each in self._guests.values()) >= MOST:
            detail = f"more than {MOST} at once are heard; who came later is not monitored"
            raise MessageError("participant", detail, AnomalyKind.TRACK)
        if guest is None:
            if len(self._guests) >= _REMEMBERED:
                raise MessageError("participant", "too many people", AnomalyKind.TRACK)
            words = called or self._called.get(key, "") or (f"user {key}" if key else UNNAMED)
            guest = self._guests[key] = _Guest(self._free(plain(words)[:LONGEST_NAME] or UNNAMED))
        guest.there = True
        return guest.name

    def leave(self, key: str) -> str | None:
        """Who has left; None if they were never heard. They keep their name if they come back."""
        self._called.pop(key, None)
        guest = self._guests.get(key)
        if guest is None or not guest.there:
            return None
        guest.there = False
        return guest.name

    def _free(self, name: str) -> str:
        taken = {guest.name for guest in self._guests.values()}
        found, copy = name, 2
        while found in taken:
            found, copy = f"{name[: LONGEST_NAME - 5]} {copy}", copy + 1
        return found
