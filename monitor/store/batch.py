"""What happened in calls since it was last written, and the parts in which it is written."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monitor.schema.records import AllowanceRecord, VerdictRecord, WindowRecord

SIZE = 200
"""Rows written in one transaction: an alert that comes meanwhile waits for its end."""
WINDOWS = 10
"""Windows that cost as much as a row."""
_POINT = ("detector", "start", "end", "score", "llr", "abstained")


@dataclass(frozen=True, slots=True)
class Begun:
    """A call began."""

    call: str
    label: str
    ingest: str
    at: float


@dataclass(slots=True)
class Batch:
    """What happened in calls since the last batch."""

    begun: list[Begun] = field(default_factory=list)
    verdicts: dict[tuple[str, str], VerdictRecord] = field(default_factory=dict)
    """The latest by call and participant."""
    allowed: dict[tuple[str, str], AllowanceRecord] = field(default_factory=dict)
    """Why a participant's synthetic speech is allowed."""
    points: dict[tuple[str, str], list[list[Any]]] = field(default_factory=dict)
    """Windows by call and participant, as `point` writes them."""
    ended: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Reason and time by call."""

    def __bool__(self) -> bool:
        return bool(self.begun or self.verdicts or self.points or self.ended)

    def by_call(self) -> list["Batch"]:
        """The same in parts, one for each call."""
        parts: dict[str, Batch] = defaultdict(Batch)
        for begun in self.begun:
            parts[begun.call].begun.append(begun)
        for who, verdict in self.verdicts.items():
            parts[who[0]].verdicts[who] = verdict
        for who, allowed in self.allowed.items():
            parts[who[0]].allowed[who] = allowed
        for who, points in self.points.items():
            parts[who[0]].points[who] = points
        for call, end in self.ended.items():
            parts[call].ended[call] = end
        return list(parts.values())

    def parts(self) -> Iterator["Batch"]:
        """The same in parts of `SIZE` rows, to be written in this order."""
        part, size = Batch(), 0.0
        for piece in self._pieces():
            if part and size + piece._size > SIZE:
                yield part
                part, size = Batch(), 0.0
            part.join(piece)
            size += piece._size
        if part:
            yield part

    @property
    def _size(self) -> float:
        rows = len(self.begun) + len(self.verdicts) + len(self.points) + len(self.ended)
        return rows + self.windows / WINDOWS

    @property
    def windows(self) -> int:
        """How many there are."""
        return sum(len(points) for points in self.points.values())

    def _pieces(self) -> Iterator["Batch"]:
        """What is written together in any case; a call's begin comes first and its end last."""
        for call in self.by_call():
            yield from (Batch(begun=[begun]) for begun in call.begun)
            for who, points in call.points.items():
                for start in range(0, len(points), SIZE * WINDOWS // 2):
                    yield Batch(points={who: points[start : start + SIZE * WINDOWS // 2]})
            for who, verdict in call.verdicts.items():
                allowed = {who: call.allowed[who]} if who in call.allowed else {}
                yield Batch(verdicts={who: verdict}, allowed=allowed)
            yield Batch(ended=call.ended)

    def join(self, later: "Batch") -> None:
        """Add what happened after it."""
        self.begun += later.begun
        self.verdicts |= later.verdicts
        self.allowed |= later.allowed
        for who, windows in later.points.items():
            self.points.setdefault(who, []).extend(windows)
        self.ended |= later.ended


def point(window: WindowRecord) -> list[Any]:
    """A window's record without what alerts carry anyway."""
    return [window.get(name) for name in _POINT]
