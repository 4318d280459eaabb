"""Media timestamps → call time."""

from collections.abc import Callable


class MediaClock:
    """Maps one track's timestamps to call seconds, anchored where its first media arrived.

    Call time must not drift away from real time when a sender's timestamps jump: a jump is
    answered with a new anchor at `now`. Call time never runs backwards.
    """

    def __init__(self, now: Callable[[], float], tolerance: float = 2.0) -> None:
        """`now` gives call seconds by the monotonic clock; `tolerance` is in seconds."""
        self._now = now
        self._tolerance = tolerance
        self._offset: float | None = None
        self._latest = 0.0

    def time(self, media_seconds: float) -> float:
        """Return the call time of a timestamp given in seconds of the track's own clock."""
        now = self._now()
        if self._offset is None or abs(media_seconds + self._offset - now) > self._tolerance:
            self._offset = max(now, self._latest) - media_seconds
        self._latest = max(self._latest, media_seconds + self._offset)
        return media_seconds + self._offset
