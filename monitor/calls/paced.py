"""A replay that takes as long as the call did."""

import asyncio
import threading
import time

from monitor.types import AudioFrame, Gap, Timing, Tracks, VideoFrame
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Intake, Media, Source


class PacedSource:
    """Another source's media, each piece not before its own call time."""

    live = False

    def __init__(self, source: Source) -> None:
        self.ingest = source.ingest
        self._source = source
        self._stop = threading.Event()

    async def run(self, intake: Intake) -> str:
        """Run the other source."""
        try:
            return await self._source.run(_PacedIntake(intake, self._stop))
        finally:
            # A decode thread that sleeps must not outlive the call.
            self._stop.set()


class _PacedIntake:
    def __init__(self, intake: Intake, stop: threading.Event) -> None:
        self._intake = intake
        self._stop = stop
        self._began: float | None = None

    def now(self) -> float:
        return self._intake.now()

    def since(self, at: float) -> float:
        return self._intake.since(at)

    @property
    def encoded(self) -> PacketTarget | None:
        return self._intake.encoded

    @property
    def key_frames(self) -> float | None:
        return self._intake.key_frames

    async def put(self, media: Media) -> None:
        await asyncio.sleep(self._early(media))
        await self._intake.put(media)

    def put_threadsafe(self, media: Media) -> None:
        self._stop.wait(self._early(media))
        self._intake.put_threadsafe(media)

    def _early(self, media: Media) -> float:
        """Seconds until the media is due."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + _due(media) - now)

    def remark(self, text: str) -> None:
        self._intake.remark(text)


def _due(media: Media) -> float:
    match media:
        case Tracks() | Timing():
            return 0.0
        case AudioFrame():
            return media.end
        case VideoFrame():
            return media.time
        case Gap():
            return media.span.end
