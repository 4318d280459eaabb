"""A recording's timestamps → call seconds. Pure.

Time goes on by what was decoded. Timestamps only say where tracks stand to each other, and where
one of them has a hole; when they begin again or leap, what follows goes on where the rest ended:

    timestamps   0 … 12 | 0 … 12        joined recordings
    call time    0 … 12 | 12 … 24

    timestamps   0 … 12 | 40000 … 40012     a clock that was set
    call time    0 … 12 | 12 … 24

    sound        0 … 5 |         | 35 … 40     muted while the picture went on: a hole of 30 s
    pictures     0 …………………………………………… 40
"""

from collections.abc import Hashable
from dataclasses import dataclass

ROUNDING = 0.1
"""Seconds by which timestamps that belong together may differ."""
LONGEST_HOLE = 5.0
"""Seconds; timestamps of a sound that leap further than any other track have another origin."""
_SLOWEST = 30.0
"""Seconds between pictures of a recording without sound."""
_BATCH = 2.0
"""Seconds by which timestamps may fall behind what was decoded: some recorders stamp what arrived
together with one time."""
_UNEVEN = 1.0
"""Seconds by which tracks of one recording may end apart and still be joined without a hole."""


@dataclass(slots=True)
class _Track:
    sound: bool
    offset: float | None = None
    """Call seconds at timestamp 0; None before its first media."""
    end: float = 0.0


class Timeline:
    """All tracks of one recording."""

    def __init__(self) -> None:
        self._tracks: dict[Hashable, _Track] = {}
        self._offset: float | None = None
        """Of the track that began a new count last: the others follow it."""
        self.leapt = 0.0
        """Seconds of timestamps that no call time stands for."""

    @property
    def end(self) -> float:
        """Call seconds up to which there was anything."""
        return max((track.end for track in self._tracks.values()), default=0.0)

    def reached(self, key: Hashable) -> float:
        """Call seconds up to which one track came."""
        track = self._tracks.get(key)
        return track.end if track is not None else 0.0

    def begin(self, origin: float | None) -> None:
        """A recording begins, maybe after another; `origin` is its first timestamp in seconds."""
        self._offset = None if origin is None else self._joint() - origin
        for track in self._tracks.values():
            track.offset = None

    def sound(self, key: Hashable, at: float | None, length: float) -> float:
        """Return the call seconds at which sound begins.

        `at`: its timestamp in seconds, None for a frame without one; `length`: its duration. A
        track's call time never runs backwards; what lies between the former end and the return is
        a hole.
        """
        track = self._tracks.setdefault(key, _Track(sound=True))
        start = track.end if at is None else self._start(track, at)
        track.end = max(track.end, start + length)
        return start

    def picture(self, key: Hashable, at: float | None) -> float:
        """Return the call seconds of a picture with timestamp `at`, never before the last one."""
        track = self._tracks.setdefault(key, _Track(sound=False))
        if at is not None:
            track.end = max(track.end, self._start(track, at))
        return track.end

    def _start(self, track: _Track, at: float) -> float:
        if self._offset is None:
            self._offset = self._joint() - at
        if track.offset is None:
            track.offset = self._offset
        behind = _BATCH if track.sound else ROUNDING
        late = at + track.offset - track.end
        # Another track may have gone over to a new count, and this one with it.
        moved = at + self._offset - track.end
        if not -behind <= late <= max(ROUNDING, abs(moved)) and (
            abs(moved) < _UNEVEN or self._is_hole(track, moved)
        ):
            track.offset, late = self._offset, moved
        if track.sound and -behind <= late < ROUNDING:
            return track.end
        if -behind <= late and (late < ROUNDING or self._is_hole(track, late)):
            return track.end + late
        return self._leap(track, at)

    def _is_hole(self, track: _Track, length: float) -> bool:
        """Whether it is believed that this track has nothing for `length` seconds after its end."""
        if length < 0:
            return False
        others = [other.end for other in self._tracks.values() if other is not track]
        longest = LONGEST_HOLE if track.sound or others else _SLOWEST
        # Tracks take turns in a file: another one is about as far.
        return length < longest or track.end + length <= max(others, default=0.0) + _UNEVEN

    def _leap(self, track: _Track, at: float) -> float:
        """Begin a new count where what came before ends.

        Timestamps that begin again are those of another recording. Those of a track that leaps
        ahead say nothing about the others.
        """
        assert track.offset is not None
        ahead = at + track.offset - track.end
        start = track.end if ahead > 0 else self._joint()
        self.leapt += max(0.0, ahead)
        track.offset = self._offset = start - at
        return start

    def _joint(self) -> float:
        """Where a new count begins: at the sound's end, unless pictures go on for longer."""
        end = self.end
        sound = max((track.end for track in self._tracks.values() if track.sound), default=end)
        return sound if end - sound < _UNEVEN else end
