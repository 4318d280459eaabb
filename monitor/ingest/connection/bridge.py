"""An intake that outlives a source's connections: what lay between two of them is lost."""

import threading

from monitor.types import AudioFrame, Gap, LostReason, Span, Timing, Tracks
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Intake, Media

_HOLE = 0.1
"""Seconds; what times differ by less is rounding."""


class Bridge:
    """Stands before a call's intake for one participant."""

    def __init__(self) -> None:
        self.until: float | None = None
        """Call seconds up to which media was handed over; None before the first frame."""
        self._counted: float | None = None
        """Call seconds up to which the media was handed over that time is counted by: the sound
        where there is any. Pictures are no measure: sound waits for its block to be complete, so
        that a picture may come before the sound of an earlier moment."""
        self._intake: Intake | None = None
        self._tracks: Tracks | None = None
        self._fresh = True
        """Whether this connection has brought none of the media that time is counted by."""
        # Pictures come from a thread of their own.
        self._lock = threading.Lock()

    def over(self, intake: Intake) -> "Bridge":
        """A new connection begins: what it brings goes to `intake`."""
        self._intake, self._fresh = intake, True
        return self

    def now(self) -> float:
        """Call seconds by the monotonic clock."""
        return self._to.now()

    def since(self, at: float) -> float:
        """Monotonic second of the call's second 0; one that has not begun begins at `at`."""
        return self._to.since(at)

    @property
    def encoded(self) -> PacketTarget | None:
        """Where encoded media goes, too."""
        return self._to.encoded

    @property
    def key_frames(self) -> float | None:
        """Seconds between pictures while only key frames are decoded."""
        return self._to.key_frames

    async def put(self, media: Media) -> None:
        """Hand media over from the event loop."""
        for each in self._through(media):
            await self._to.put(each)

    def remark(self, text: str) -> None:
        """Say something about the source that people should know."""
        self._to.remark(text)

    def put_threadsafe(self, media: Media) -> None:
        """Hand media over from a decode thread."""
        for each in self._through(media):
            self._to.put_threadsafe(each)

    @property
    def _to(self) -> Intake:
        assert self._intake is not None
        return self._intake

    def _through(self, media: Media) -> list[Media]:
        """Return what is handed over: the gap before, and no tracks that are known."""
        if isinstance(media, Tracks):
            known, self._tracks = self._tracks, media
            return [] if media == known else [media]
        if isinstance(media, Gap | Timing):
            return [media]
        if isinstance(media, AudioFrame):
            counts, start, end = True, media.start, media.end
        else:
            counts, start, end = not (self._tracks and self._tracks.audio), media.time, media.time
        with self._lock:
            self.until = max(self.until or 0.0, end)
            if not counts:
                return [media]
            gap = self._gap(media.participant, start) if self._fresh else []
            self._fresh = False
            self._counted = max(self._counted or 0.0, end)
            return [*gap, media]

    def _gap(self, participant: str, until: float) -> list[Media]:
        since = self._counted
        if since is None or until - since <= _HOLE:
            return []
        return [Gap(participant, Span(since, until), LostReason.RECONNECT)]
