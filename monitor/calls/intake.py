"""Where a source's media enters a call: bounded, newest wins for live media."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from monitor.channel import Channel, ChannelClosedError
from monitor.protocols import Media
from monitor.types import VideoFrame

AUDIO_CAPACITY = 250
"""Audio items: five seconds of 20 ms frames, enough to ride out a pause of the whole machine."""
VIDEO_CAPACITY = 4
"""Pictures: less than a second at a few a second; an old picture is worth little."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A piece of media and when it came."""

    media: Media
    at: float
    """Monotonic seconds."""


class CallIntake:
    """One call's hand-over from its source, with audio and video apart.

    Apart, so that slow video analysis never costs a second of audio.
    """

    def __init__(self, live: bool, dropped: Callable[[str], None]) -> None:
        """`dropped(stage)` hears of each piece of media thrown away."""
        self.audio: Channel[Arrival] = Channel(AUDIO_CAPACITY)
        self.video: Channel[Arrival] = Channel(VIDEO_CAPACITY)
        self._live = live
        self._dropped = dropped
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None

    def now(self) -> float:
        """Call seconds by the monotonic clock; 0 at the first call."""
        at = time.monotonic()
        if self._began is None:
            self._began = at
        return at - self._began

    @property
    def began(self) -> bool:
        """Whether any media was seen."""
        return self._began is not None

    async def put(self, media: Media) -> None:
        """Hand media over from the event loop."""
        if self._live:
            self._put(media)
        else:
            await self._channel(media).send(Arrival(media, time.monotonic()))

    def put_threadsafe(self, media: Media) -> None:
        """Hand media over from a decode thread.

        Raises ChannelClosedError when the call is over.
        """
        if self._live:
            if self.audio.closed:
                raise ChannelClosedError
            self._loop.call_soon_threadsafe(self._put, media)
            return
        arrival = Arrival(media, time.monotonic())
        channel = self._channel(media)
        asyncio.run_coroutine_threadsafe(channel.send(arrival), self._loop).result()

    def close(self) -> None:
        """The source has ended; what is queued is still analysed."""
        self.audio.close()
        self.video.close()

    def abandon(self) -> None:
        """The call has ended; decode threads find the channels closed."""
        self.audio.abandon()
        self.video.abandon()

    def _put(self, media: Media) -> None:
        channel = self._channel(media)
        if not channel.put(Arrival(media, time.monotonic())):
            self._dropped("video" if channel is self.video else "audio")

    def _channel(self, media: Media) -> Channel[Arrival]:
        return self.video if isinstance(media, VideoFrame) else self.audio
