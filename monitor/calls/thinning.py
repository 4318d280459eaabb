"""What of one call was left out, and when."""

from monitor.calls.admission import Level
from monitor.types import Span

KEY_FRAMES_EVERY = 2.0
"""Seconds between the key frames that are asked for when nothing else is decoded."""
_KEPT = 180.0
"""Seconds for which past levels are known: longer than any window with what waits for it."""


class Thinning:
    """The levels of one call by call time; a replay's never leaves the first."""

    def __init__(self) -> None:
        self._changes: list[tuple[float, Level]] = [(0.0, Level.FULL)]

    @property
    def level(self) -> Level:
        """What is looked at now."""
        return self._changes[-1][1]

    @property
    def key_frames(self) -> float | None:
        """Seconds between pictures while only key frames are decoded; None decodes them all."""
        return KEY_FRAMES_EVERY if self.level >= Level.KEY_FRAMES else None

    def change(self, at: float, level: Level) -> None:
        """From call second `at` on it is `level`; changes come in order."""
        if level is self.level:
            return
        self._changes.append((at, level))
        while len(self._changes) > 1 and self._changes[1][0] < at - _KEPT:
            self._changes.pop(0)

    def most(self, span: Span) -> Level:
        """The highest level in any part of `span`."""
        ends = [start for start, _ in self._changes[1:]] + [float("inf")]
        return max(
            (
                level
                for (start, level), end in zip(self._changes, ends, strict=True)
                if start < span.end and end > span.start
            ),
            default=Level.FULL,
        )
