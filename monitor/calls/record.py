"""A call as everybody but its monitor sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.calls.pause import Pause
from monitor.types import Timing, Tracks, Verdict


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is known about a call, without anything that monitors it."""

    id: str
    label: str
    ingest: str
    started_at: datetime | None
    ended: str | None
    """Why the call ended, in one word; None while it goes on."""
    detail: str
    """More about the end, in words."""
    media: bool
    """Whether any media has arrived."""
    participants: tuple[tuple[Tracks, Verdict | None], ...]
    paused: Mapping[str, Pause]
    """By participant."""
    clocks: Mapping[str, Timing] = field(default_factory=dict)
    """By participant: how their sound's clock runs, with the seconds corrected in all."""
