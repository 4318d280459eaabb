"""RTP packets in the order they were sent: what is late is awaited a little, never for ever. Pure.

    arrives     1 2   4 5 3     7 8 9 ...
    delivered   1 2       3 4 5     7 8 9     (6 never came: 7 waited, then went on without it)

A packet that comes in order leaves at once: without loss there is no delay.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCES = 1 << 16
FARTHEST = 1500
"""Packets by which a sequence number may jump and still belong to the same numbering."""
_SUCCESSORS = 16
"""How near two packets of a new numbering must be for it to be believed."""


def unwrapped(timestamp: int, near: int) -> int:
    """Return the unwrapped form of a 32-bit timestamp that lies nearest to `near`."""
    half = 1 << 31
    return near + (timestamp - near + half) % (1 << 32) - half


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet of one track."""

    ssrc: int
    sequence: int
    """16 bits."""
    timestamp: int
    """32 bits, in units of the codec's clock."""
    payload_type: int
    payload: bytes
    arrived: float
    """Monotonic seconds."""
    marker: bool = False
    """Whether it is the last of a picture, or the first after a pause."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A packet whose turn has come."""

    packet: RtpPacket
    timestamp: int
    """The packet's timestamp without wrap-around; restarts with a new numbering."""
    missing: int
    """Packets just before this one that were sent and did not come."""
    restarted: bool
    """The first of a new stream: its timestamp says nothing about the packet before."""


@dataclass(slots=True)
class Counts:
    """What became of the packets."""

    received: int = 0
    delivered: int = 0
    duplicate: int = 0
    late: int = 0
    """Came after their turn was given up."""
    lost: int = 0
    """Turns that were given up."""
    stray: int = 0
    """Of a numbering that nothing followed."""
    restarts: int = 0


class JitterBuffer:
    """Orders one track's packets; the caller asks again at `deadline`."""

    def __init__(self, wait: float = 0.08) -> None:
        """`wait`: seconds for which a packet may hold back those after it."""
        self.counts = Counts()
        self._wait = wait
        self._ssrc: int | None = None
        self._next = 0
        """Sequence number whose turn it is, without wrap-around."""
        self._timestamp: int | None = None
        self._held: dict[int, RtpPacket] = {}
        self._given: dict[int, None] = {}
        """Latest sequence numbers delivered, to tell a duplicate from a late packet."""
        self._suspect: RtpPacket | None = None
        self._restarted = True

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which a missing packet is given up; None while none is."""
        if not self._held:
            return None
        return min(packet.arrived for packet in self._held.values()) + self._wait

    def push(self, packet: RtpPacket) -> Iterator[Delivery]:
        """Take a packet in; yield those whose turn has come."""
        self.counts.received += 1
        if self._ssrc is None:
            self._begin(packet)
        ahead = self._ahead(packet.sequence)
        if packet.ssrc != self._ssrc or abs(ahead) > FARTHEST:
            yield from self._doubt(packet)
            return
        self._suspect = None
        yield from self._take(packet, ahead)

    def pop(self, now: float) -> Iterator[Delivery]:
        """Yield what need not wait any longer at `now` (monotonic seconds)."""
        while (deadline := self.deadline) is not None and deadline <= now:
            yield from self._give_up()

    def flush(self) -> Iterator[Delivery]:
        """Yield everything: nothing more will come."""
        while self._held:
            yield from self._give_up()

    def _begin(self, packet: RtpPacket) -> None:
        self._ssrc = packet.ssrc
        self._next = packet.sequence
        self._timestamp = None
        self._given.clear()
        self._restarted = True

    def _ahead(self, sequence: int) -> int:
        """How far a sequence number lies after the one whose turn it is."""
        return (sequence - self._next + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2

    def _take(self, packet: RtpPacket, ahead: int) -> Iterator[Delivery]:
        number = self._next + ahead
        if number in self._held or number in self._given:
            self.counts.duplicate += 1
        elif ahead < 0:
            self.counts.late += 1
        else:
            self._held[number] = packet
            yield from self._ready(0)

    def _doubt(self, packet: RtpPacket) -> Iterator[Delivery]:
        """A new numbering counts once a second packet follows the first."""
        before, self._suspect = self._suspect, packet
        if before is None or before.ssrc != packet.ssrc:
            self.counts.stray += before is not None
            return
        step = (packet.sequence - before.sequence) % _SEQUENCES
        if not 0 < step <= _SUCCESSORS:
            self.counts.stray += 1
            return
        yield from self.flush()
        self.counts.restarts += 1
        self._suspect = None
        self._begin(before)
        for each in (before, packet):
            yield from self._take(each, self._ahead(each.sequence))

    def _give_up(self) -> Iterator[Delivery]:
        """Go on with the earliest packet held."""
        missing = min(self._held) - self._next
        self.counts.lost += missing
        self._next += missing
        yield from self._ready(missing)

    def _ready(self, missing: int) -> Iterator[Delivery]:
        while (packet := self._held.pop(self._next, None)) is not None:
            if self._timestamp is None:
                self._timestamp = packet.timestamp
            else:
                self._timestamp = unwrapped(packet.timestamp, self._timestamp)
            self._given[self._next] = None
            if len(self._given) > FARTHEST:
                del self._given[next(iter(self._given))]
            self._next += 1
            self.counts.delivered += 1
            yield Delivery(packet, self._timestamp, missing, self._restarted)
            missing, self._restarted = 0, False
