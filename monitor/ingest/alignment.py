"""RTP timestamps and sender reports of two tracks → one call time. Pure.

    audio  timestamp ─ anchored where its first packet arrived ──────────────► call time
    video  timestamp ─ sender's clock (its report) ─ audio's report, anchor ─► call time
                     └ before both have reported: anchored at its own arrival ┘

Audio leads, because a jump in its time is a gap in the voice; video follows, and while the
correction would take it back, it waits.
"""

from collections import deque
from statistics import median

TOLERANCE = 2.0
"""Seconds by which call time may differ from arrival before the timestamps are disbelieved."""
_REPORTS = 5


def unwrapped(timestamp: int, near: int) -> int:
    """Return the unwrapped form of a 32-bit timestamp that lies nearest to `near`."""
    half = 1 << 31
    return near + (timestamp - near + half) % (1 << 32) - half


class TrackClock:
    """Maps one track's media seconds (unwrapped RTP timestamp / clock rate) to call seconds."""

    def __init__(self, leader: "TrackClock | None" = None) -> None:
        """`leader`: the track of the same sender whose time this one follows."""
        self._leader = leader
        self._offset: float | None = None
        """Call seconds at media second 0, by arrival."""
        self._latest = 0.0
        self._reports: deque[float] = deque(maxlen=_REPORTS)
        self.aligned = False
        """Whether the latest time came from sender reports and not from arrival."""

    def report(self, media: float, sender: float) -> None:
        """A sender report: this media second is that second of the sender's clock."""
        self._reports.append(sender - media)

    def restart(self) -> None:
        """The timestamps that follow have another origin."""
        self._offset = None
        self._reports.clear()

    def time(self, media: float, arrived: float) -> float:
        """Return the call time of a media second whose packet arrived at call second `arrived`.

        A track without a leader never runs backwards except for packets that are older; a
        follower holds its last time instead of going back.
        """
        if self._offset is None or abs(media + self._offset - arrived) > TOLERANCE:
            self._offset = max(arrived, self._latest) - media
        at = media + self._offset
        self.aligned = False
        skew = self._skew()
        if skew is not None:
            led = media + skew
            # Reports that place media far from its arrival are wrong: some senders' are.
            if abs(led - arrived) <= TOLERANCE:
                at, self.aligned = led, True
        if self._leader is not None:
            at = max(at, self._latest)
        self._latest = max(self._latest, at)
        return at

    def _skew(self) -> float | None:
        """Call seconds at media second 0 as the leader has it; None before both reported."""
        leader = self._leader
        if leader is None or leader._offset is None or not self._reports or not leader._reports:
            return None
        return leader._offset + median(self._reports) - median(leader._reports)
