"""Decoded packets of one participant's sound → frames on the call's clock, with what is missing.

packet  ████ ████      ████            ████ ████
number  7    8         10              11   12
        sound     lost: a Gap    silence that the sender did not send
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np

from monitor.ingest.clock.audio_clock import AudioClock
from monitor.ingest.clock.piece import Piece, Placed
from monitor.ingest.clock.time_stretch import Stretch
from monitor.ingest.codecs.convert import AudioConverter, ends_block
from monitor.types import (
    SAMPLE_RATE,
    AudioFrame,
    Corrected,
    Gap,
    LostReason,
    Span,
    Timing,
    Waveform,
)

_SEAM = 0.01
"""Seconds between two frames that still are one: the resampler holds back a little."""
LONGEST_PAUSE = 10.0
"""Seconds of unsent silence that are filled in; a longer pause is the source's absence."""
_TOLD = 10.0
"""Seconds between what is said about a clock that runs as it should."""

Heard = AudioFrame | Gap | Timing


@dataclass(frozen=True, slots=True)
class Sounding:
    """What a packet holds."""

    frames: Sequence[av.AudioFrame]
    """Alike."""
    keep: Callable[[float, float], None] | None = None
    """Told the call second and the length once the packet has its place; for evidence."""
    noise: Sequence[av.AudioFrame] = ()
    """How the sender's own decoder fills a pause just before the packet."""
    missing: LostReason = LostReason.NETWORK
    """Why packets just before it that were sent are missing."""


class AudioTrack:
    """Takes what one track brings, in the order of sending."""

    def __init__(
        self, participant: str, since: Callable[[float], float], lossy: bool = False
    ) -> None:
        """`since` gives the monotonic second of the call's second 0, as `Intake.since` does."""
        self.clock: AudioClock[Sounding] = AudioClock(lossy)
        self._participant = participant
        self._since = since
        self._converter = AudioConverter()
        self._stretch: Stretch | None = None
        self._waiting: list[av.AudioFrame] = []
        """Placed, not converted yet; alike, and without a hole."""
        self._begin = 0.0
        """Call seconds at which they begin."""
        self._end = 0.0
        """Call seconds at which they end."""
        self._given: float | None = None
        """Call seconds up to which media was handed on."""
        self._corrected = Corrected()
        """Since anything was told."""
        self._unmarked = 0.0
        """Seconds cut just before what is handed on next."""
        self._state = 1.0, 1.0
        """Factor and speed that were told."""
        self._told = 0.0
        """Monotonic seconds of when anything was."""

    def push(
        self,
        sounding: Sounding,
        arrived: float,
        stamp: float | None = None,
        missing: int = 0,
        lost: float = 0.0,
    ) -> Iterator[Heard]:
        """Take a packet's sound; the rest is as `Piece` has it."""
        length = sum(frame.samples / frame.sample_rate for frame in sounding.frames)
        if not length:
            return
        self._told = self._told or arrived
        self.clock.agreed(sounding.frames[0].sample_rate)
        for placed in self.clock.push(Piece(sounding, length, arrived, stamp, missing, lost)):
            yield from self._take(placed)
        yield from self._tell(arrived)

    def pop(self, now: float) -> Iterator[Heard]:
        """Yield what waits no longer at monotonic second `now`."""
        for placed in self.clock.pop(now):
            yield from self._take(placed)

    def flush(self) -> Iterator[Heard]:
        """Yield all that waits: nothing more will come."""
        for placed in self.clock.flush():
            yield from self._take(placed)
        yield from self._tail()
        yield from self._tell(float("inf"))

    def _take(self, placed: Placed[Sounding]) -> Iterator[Heard]:
        sounding = placed.piece.content
        begin = placed.at - placed.lost - placed.silent - placed.away
        since = self._since(begin)
        at = placed.at - since
        end = at + placed.length
        if placed.cut or end <= 0:
            # There is no room for it, or it was spoken before the call began.
            self._correct(cut=placed.piece.length)
            self._unmarked += placed.piece.length
            return
        at = max(0.0, at)
        if placed.misread:
            self._given = at if self._given is None else self._given
            yield from self._gap(end, LostReason.FORMAT)
            return
        if placed.away:
            begin += placed.away
            yield from self._gap(begin - since, LostReason.RECONNECT)
        if placed.silent:
            start = begin - since
            yield from self._silence(start, placed.silent, placed.filled, sounding.noise)
        if placed.lost:
            yield from self._gap(at, sounding.missing)
        if sounding.keep is not None:
            sounding.keep(at, placed.length)
        if placed.length != placed.piece.length and self._stretch is None:
            yield from self._block()
            self._stretch = Stretch()
        if self._waiting and not _alike(self._waiting[-1], sounding.frames[0]):
            yield from self._block()
        if not self._waiting:
            self._begin = at
        self._waiting += sounding.frames
        self._end = end
        if ends_block(at, end):
            yield from self._block()

    def _block(self) -> Iterator[AudioFrame]:
        """Hand on what waits for its block to be complete."""
        if not self._waiting:
            return
        samples = self._converter.convert(*self._waiting)
        self._waiting.clear()
        yield from self._hand_on(self._begin, samples)

    def _hand_on(self, at: float, samples: Waveform) -> Iterator[AudioFrame]:
        if not len(samples):
            return
        if self._given is None:
            self._given = at
        corrected = 0.0
        if self._stretch is not None:
            came, samples = len(samples), self._stretch.convert(samples, at)
            corrected = abs(len(samples) - came) / SAMPLE_RATE
            self._correct(stretched=corrected)
        elif abs(at - self._given) >= _SEAM:
            self._given = at
        if len(samples):
            corrected, self._unmarked = corrected + self._unmarked, 0.0
            start, self._given = self._given, self._given + len(samples) / SAMPLE_RATE
            yield AudioFrame(self._participant, start, samples, corrected)

    def _tail(self) -> Iterator[AudioFrame]:
        """Hand on what resamplers hold back: nothing follows at once."""
        yield from self._block()
        yield from self._hand_on(self._end, self._converter.flush())
        self._converter = AudioConverter()
        self._stretch = None

    def _gap(self, end: float, reason: LostReason) -> Iterator[AudioFrame | Gap]:
        yield from self._block()
        start = end if self._given is None else self._given
        if end > start:
            yield Gap(self._participant, Span(start, end), reason)
            self._go_on(end)

    def _go_on(self, at: float) -> None:
        """What is handed on next begins at call second `at`, after a break that is no sound's."""
        self._given = at
        if self._stretch is not None:
            self._stretch = Stretch()

    def _silence(
        self, start: float, seconds: float, filled: float, noise: Sequence[av.AudioFrame]
    ) -> Iterator[AudioFrame | Gap]:
        """Silence that the sender chose not to send, as its listeners hear it.

        `filled`: how much of it was put in because nothing came.
        """
        end = start + seconds
        if seconds > LONGEST_PAUSE:
            yield from self._gap(end, LostReason.IDLE)
            return
        yield from self._block()
        start = start if self._given is None else self._given
        count = round((end - start) * SAMPLE_RATE)
        if count <= 0:
            return
        samples = np.zeros(count, np.float32)
        if noise:
            made = self._converter.convert(*noise)[:count]
            samples[: len(made)] = made
        self._go_on(start + count / SAMPLE_RATE)
        self._correct(filled=filled)
        yield AudioFrame(self._participant, start, samples, filled)

    def _tell(self, now: float) -> Iterator[Timing]:
        """Say what is known about the sender's clock: now and then, and when it is news."""
        clock = self.clock
        state = clock.stamps.factor, clock.speed
        if state == self._state and now - self._told < _TOLD:
            return
        self._state, self._told = state, now
        corrected, self._corrected = self._corrected, Corrected()
        yield Timing(self._participant, clock.skew, *state, corrected)

    def _correct(self, stretched: float = 0.0, cut: float = 0.0, filled: float = 0.0) -> None:
        self._corrected = self._corrected.and_also(Corrected(stretched, cut, filled))


def _alike(one: av.AudioFrame, other: av.AudioFrame) -> bool:
    return (one.sample_rate, one.format.name, one.layout.name) == (
        other.sample_rate,
        other.format.name,
        other.layout.name,
    )
