"""A sender and a network in virtual time: what was spoken when, and when it comes."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from monitor.ingest.clock.audio_clock import AudioClock
from monitor.ingest.clock.piece import Piece, Placed


@dataclass
class Sender:
    """One call's sound; every second is virtual."""

    seconds: float = 60.0
    length: float = 0.02
    """Seconds that a packet's samples last."""
    slow: float = 0.0
    """Share by which its clock is slow."""
    gain: float = 1.0
    """Seconds that samples seem to last for each second that they took: a wrong rate."""
    stamp: Callable[[int, float, int], float | None] = lambda slot, spoken, number: slot * 0.02
    """Stamp of the packet of a slot, spoken at a second, the so-and-so-many-th that is sent."""
    silent: Callable[[float], bool] = lambda spoken: False
    """Whether nothing is sent of what is spoken then."""
    jitter: float = 0.01
    """Seconds of delay at most, each packet by its own chance."""
    loss: float = 0.0
    stall: tuple[float, float] = (0.0, 0.0)
    """From when to when nothing arrives; then all at once."""
    batch: int = 1
    """Packets that come together."""
    seed: int = 1
    sent: int = 0
    clock: AudioClock[float] = field(default_factory=AudioClock)

    def _packets(self) -> Iterator[tuple[float, float, int, int]]:
        """When spoken, when it arrives without jitter, slot, number."""
        slot = number = 0
        step = self.length * (1 + self.slow)
        while (spoken := slot * step) < self.seconds:
            if not self.silent(spoken):
                yield spoken, (slot // self.batch + 1) * self.batch * step, slot, number
                number += 1
            slot += 1

    def heard(self) -> list[Placed[float]]:
        """Run it; what the pieces hold is when they were spoken."""
        chance, latest, missing = random.Random(self.seed), 0.0, 0
        out: list[Placed[float]] = []
        for spoken, at, slot, number in self._packets():
            at += chance.random() * self.jitter
            if self.stall[0] <= at < self.stall[1]:
                at = self.stall[1]
            latest = max(latest, at)
            if chance.random() < self.loss:
                missing += 1
                continue
            self.sent += 1
            stamp = self.stamp(slot, spoken, number)
            out += self.clock.pop(latest)
            length = self.length * self.gain
            out += self.clock.push(Piece(spoken, length, latest, stamp, missing))
            missing = 0
        return [*out, *self.clock.flush()]
