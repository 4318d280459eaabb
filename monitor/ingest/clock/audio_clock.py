"""When the sound of each packet was spoken, told by four witnesses. Pure: driven by given times.

    numbers   7   8   9           10   11       without a hole nothing is missing
    length    20  20  20          20   20  ms   what follows at once ends so much later
    stamp     0   20  40          60   80       may count anything, and is asked last
    arrival   ·   ·   ·           ·    ·        time that passed: a pause, if no burst follows

A live sender sends what it has just heard, so that a packet ends when it arrives, less the delay of
the network; the least delay of each half second tells how the sender's clock runs against ours.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from monitor.ingest.clock.envelope import Envelope
from monitor.ingest.clock.piece import Piece, Placed
from monitor.ingest.clock.speed import Speed
from monitor.ingest.clock.stamps import Stamps

T = TypeVar("T")

LATE = 0.2
"""Seconds of delay after a break on the wire that make a pause or a stall of it."""
_BREAK = 0.1
"""Seconds without a packet, beyond what the next one holds, that are a break."""
_PAUSE = 1.0
"""Seconds of delay that make one where the sender's stamps have counted a pause before."""
_WAIT = 0.25
"""Seconds after a break in which a burst may show that it was a stall."""
_FALLS = 0.02
"""Seconds by which delay falls while a burst goes on."""
_LONGEST_WAIT = 5.0
_IN_TIME = 0.1
"""Seconds of delay after a burst at which it has caught up."""
_LEAP = 1.0
"""Seconds by which stamps leap that have another origin."""
_NUMBERED = 0.3
"""Seconds of missing packets that are believed whatever the arrival says."""
_DRIFT = 0.08
"""Seconds that the wall may be away before sound is stretched or squeezed to it."""
_NEAR = 0.02
"""Seconds from the wall at which that ends."""
_PULL = 0.25
"""Share of the distance that is made up for each second."""
_MOST = 0.08
"""Share by which sound is stretched or squeezed at most."""
_STEADY = 0.001
"""Share by which two clocks may drift apart and still be compared."""
_AHEAD = 0.7
"""Seconds before the wall from which on sound is cut: it cannot have been spoken yet."""
_REFRESH = 18, 21
"""Packets left out between two of a pause: Opus' encoder sends one frame in twenty."""


class AudioClock(Generic[T]):
    """Places one track's sound; the caller asks again at `deadline`."""

    def __init__(self, lossy: bool = False) -> None:
        """`lossy`: there are no numbers, and what the stamps leave out was lost, not silent.

        Unless it is as long as Opus leaves out of a pause: then packets come at that distance.
        """
        self.end: float | None = None
        """Monotonic seconds up to which sound was placed; None before the first."""
        self.stamps = Stamps()
        self.offset: float | None = None
        """Monotonic seconds at stamp 0, by the latest piece placed."""
        self._lossy = lossy
        self._held: list[Placed[T]] = []
        """Wait until it is known whether a break was a pause; `at` is not set yet."""
        self._waiting = 0.0
        """Seconds that those take."""
        self._since = 0.0
        self._until = 0.0
        self._low = 0.0
        """Least delay of those that wait, in seconds."""
        self._mark = 0.0
        """The same when it was last seen to fall."""
        self._last: Piece[T] | None = None
        self._envelope = Envelope()
        self._count = 0.0
        """Seconds of sound and holes that have come."""
        self._placed = 0.0
        """The same of those placed."""
        self._rate = 0.0
        """Share by which sound is stretched."""
        self._error = 0.0
        """Seconds by which the wall was ahead of what was placed when last measured."""
        self._cutting = False
        self._speed = Speed()
        self._anew = False
        """Whether the next piece is the first of another stream."""
        self._away = False
        """Whether those that wait begin with such a one."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which what waits is placed anyhow; None while nothing waits."""
        return self._until if self._held else None

    def agreed(self, rate: int) -> None:
        """So many samples a second were agreed on."""
        self._speed.agreed = rate

    @property
    def speed(self) -> float:
        """Seconds of sound that come each second; 1 where that is a matter of a clock."""
        return self._speed.value

    @property
    def skew(self) -> float | None:
        """Share by which the sender's clock is slow; None until ten seconds in one piece tell."""
        return self._envelope.skew()

    @property
    def begins(self) -> float | None:
        """Monotonic seconds at which sound begins of which none is placed yet; else None."""
        return self._low if self._held and self.end is None else None

    @property
    def steady(self) -> bool:
        """Whether stamps and lengths agree, and with the wall: `offset` then holds for a while."""
        drifts = abs(self.skew or 0.0) > _STEADY
        return self.stamps.exact and not self._rate and not drifts

    def restart(self, anew: bool = False) -> None:
        """The stamps that follow have another origin; `anew`: because the sender began again."""
        if self._last is not None:
            last = self._last
            self._last = Piece(last.content, last.length, last.arrived)
            self._anew = self._anew or anew
        self.stamps.restart()

    def push(self, piece: Piece[T]) -> Iterator[Placed[T]]:
        """Take a piece; yield those that have their place."""
        waited = 0.0 if self._last is None else piece.arrived - self._last.arrived - piece.length
        next_ = (self.end or 0.0) + self._waiting
        lost, silent, filled = self._before(piece, piece.arrived - next_ - piece.length, waited)
        self._last = piece
        anew, self._anew = self._anew, False
        takes = lost + silent + piece.length
        delay = piece.arrived - next_ - takes
        self._count += takes
        if waited > _BREAK:
            self._speed.broke(piece.arrived, waited)
        if waited > _PAUSE:
            self._envelope.clear()
        if self._envelope.add(piece.arrived, piece.arrived - self._count):
            self._measure()
        placed = Placed(piece, 0.0, piece.length, lost, silent, filled)
        if not self._held:
            if self.end is not None and not self._stands_out(waited, delay, anew):
                yield self._place(placed)
                return
            self._since, self._low, self._mark = piece.arrived, delay, delay
            self._until = piece.arrived + _WAIT
            self._away = anew
        self._low = min(self._low, delay)
        if self._low < self._mark - _FALLS:
            self._mark = self._low
            self._until = min(self._since + _LONGEST_WAIT, piece.arrived + _WAIT)
        self._held.append(placed)
        self._waiting += takes
        if self.end is not None and self._low < max(0.0, self._error) + _IN_TIME:
            yield from self._release(0.0)
        elif piece.arrived >= self._until or self.speed != 1.0:
            yield from self._release(self._low)

    def pop(self, now: float) -> Iterator[Placed[T]]:
        """Yield what need not wait any longer at `now` (monotonic seconds)."""
        if self._held and now >= self._until:
            yield from self._release(self._low)

    def flush(self) -> Iterator[Placed[T]]:
        """Yield everything: nothing more will come."""
        if self._held:
            yield from self._release(self._low)

    def _stands_out(self, waited: float, delay: float, anew: bool) -> bool:
        """Whether a piece comes after a pause or a stall, or so late that it counts as one."""
        if self.speed != 1.0:
            return False
        if self._speed.starved and delay > LATE:
            return True
        # Another stream's stamps have counted nothing of the time before.
        least = LATE if anew or not self.stamps.pausing else _PAUSE
        return waited > _BREAK and delay - max(0.0, self._error) > least

    def _release(self, pause: float) -> Iterator[Placed[T]]:
        """Place what waits, after a pause of so many seconds."""
        held, self._held, self._waiting = self._held, [], 0.0
        first = held[0]
        if self.end is None:
            self.end = pause
        elif pause:
            if self._away:
                held[0] = replace(first, away=pause)
            else:
                held[0] = replace(first, silent=first.silent + pause, filled=first.filled + pause)
            self._speed.paused(self._until, pause)
            self._count += pause
            self._forget()
        for placed in held:
            yield self._place(placed)

    def _place(self, placed: Placed[T]) -> Placed[T]:
        assert self.end is not None
        piece, before = placed.piece, placed.lost + placed.silent + placed.away
        self._placed += before + piece.length
        if self.speed != 1.0:
            at, self.end = self.end, max(self.end, piece.arrived)
            return Placed(piece, at, self.end - at, misread=True)
        at = self.end + before
        # What lies ahead of the wall for as long as that is no burst, which a pause would follow.
        self._cutting = at - piece.arrived > (_IN_TIME if self._cutting else _AHEAD) and (
            self._cutting or self._rate <= -_MOST
        )
        if self._cutting:
            return Placed(piece, at, 0.0, cut=True)
        length = piece.length * (1 + self._rate)
        self.end = at + length
        self.offset = None if piece.stamp is None else at - piece.stamp
        return replace(placed, at=at, length=length)

    def _before(self, piece: Piece[T], delay: float, waited: float) -> tuple[float, float, float]:
        """Seconds lost, seconds silent between the last piece and this one, and untold ones of it.

        `delay`: this one's if it follows at once; `waited`: seconds of the break on the wire.
        """
        last = self._last
        if last is None:
            return 0.0, 0.0, 0.0
        lost = piece.missing * last.length
        # Before the first is placed, there is no delay but from one to the next.
        passed = waited if self.end is None else delay
        silent = filled = 0.0
        if piece.stamp is not None and last.stamp is not None:
            step = piece.stamp - last.stamp
            told = self.stamps.between(step, last.length) - lost
            if self.stamps.paused(told, passed - lost):
                # The wall is away by that much, and silence may be longer or shorter unheard.
                silent = max(0.0, told + self._error)
                filled = max(0.0, silent - told)
                if self._error:
                    self._forget()
            elif self.stamps.exact and waited > _BREAK and abs(told) > _LEAP:
                # After a break, stamps that were right so far count from another origin.
                self.restart(anew=True)
            elif not piece.missing:
                self.stamps.learn(step, last.length)
        if lost > _NUMBERED and not silent:
            # Numbers that jump though no time has passed.
            lost = min(lost, max(passed, 0.0) + _NUMBERED)
        lost += piece.lost
        fewest, most = (count * last.length for count in _REFRESH)
        missed = self._lossy and not fewest <= silent <= most
        return (lost + silent, 0.0, 0.0) if missed else (lost, silent, filled)

    def _forget(self) -> None:
        """What is placed from now on is at the wall: nothing measured before counts."""
        self._error = 0.0
        self._envelope.clear()

    def _measure(self) -> None:
        """Look at delays, once a half second."""
        if self._held and self.end is not None:
            # A burst is no matter of speed.
            self._rate = 0.0
            return
        slope = next(
            (s for s in (self._envelope.slope(t) for t in (4.0, 2.0)) if s is not None), 0.0
        )
        recent = self._envelope.recent()
        if recent is None or self.end is None or self._held or self.speed != 1.0:
            self._rate = 0.0
            self._judge_speed()
            return
        # How far the wall is ahead of what was placed, if both measurements say so.
        nearest, farthest = (each - (self.end - self._placed) for each in recent)
        error = nearest if nearest > 0 else farthest if farthest < 0 else 0.0
        self._error = error if abs(error) > _NEAR else 0.0
        if self._judge_speed():
            return
        if self._rate == 0.0 and abs(error) < _DRIFT:
            return
        slope = slope / (1 - slope) if abs(slope) > 0.003 else 0.0
        if abs(error) < _NEAR and not slope:
            self._rate = 0.0
            return
        self._rate = min(max(slope + _PULL * error, -_MOST), _MOST)

    def _judge_speed(self) -> bool:
        """Look at how fast sound comes; return whether stretching it would never be enough."""
        assert self._last is not None
        if self._speed.judge(self._envelope, self._last.arrived):
            self._error = min(0.0, self._error)
        if self._speed.starved:
            self._rate = 0.0
        return self._speed.starved
