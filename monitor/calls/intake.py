"""Where a source's media enters a call: bounded, newest wins for live media."""

import asyncio
import time
from collections.abc import Callable, Container
from concurrent.futures import Future
from dataclasses import dataclass

from monitor.runtime.channel import Channel, ChannelClosedError
from monitor.runtime.tasks import awaited
from monitor.types import Gap, LostReason, Tracks, VideoFrame
from monitor.types.packet import EncodedPacket, PacketTarget
from monitor.types.protocols import Media

AUDIO_CAPACITY = 250
"""Audio items: five seconds of 20 ms frames, enough to ride out a pause of the whole machine."""
VIDEO_CAPACITY = 12
"""Pictures: less than a second of a burst, when they come fastest; an old one is worth little."""
_LOOP_CHECK = 1.0
"""Seconds between a waiting thread's looks at whether anybody still runs the loop."""


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

    def __init__(
        self,
        live: bool,
        dropped: Callable[[str], None],
        paused: Container[str] = (),
        encoded: PacketTarget | None = None,
        remarks: list[str] | None = None,
    ) -> None:
        """`dropped(stage)` hears of each piece of media thrown away; `remarks` takes those made.

        Nothing of participants that are in `paused` passes; `encoded` takes evidence.
        """
        self.audio: Channel[Arrival] = Channel(AUDIO_CAPACITY)
        self.video: Channel[Arrival] = Channel(VIDEO_CAPACITY)
        self._live = live
        self._dropped = dropped
        self._paused = paused
        self._encoded = encoded
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None
        self._ended: float | None = None
        """Monotonic second at which the source did."""
        self.key_frames: float | None = None
        """Seconds between pictures while only key frames are decoded; None decodes them all."""
        self._remarks = remarks if remarks is not None else []
        self._sending: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Call seconds by the monotonic clock; a call that has not begun begins now.

        They stand still once the source has ended: what is judged afterwards takes no call time.
        """
        at = time.monotonic() if self._ended is None else self._ended
        return at - self.since(at)

    def since(self, at: float) -> float:
        """Monotonic second of the call's second 0; one that has not begun begins at `at`."""
        if self._began is None:
            self._began = at
        return self._began

    @property
    def began(self) -> bool:
        """Whether any media was seen."""
        return self._began is not None

    @property
    def encoded(self) -> PacketTarget | None:
        """Where encoded media goes; None when nobody keeps evidence of this call."""
        return self._keep if self._encoded is not None else None

    def _keep(self, packet: EncodedPacket) -> None:
        if self._encoded is not None and packet.participant not in self._paused:
            self._encoded(packet)

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
        if self.audio.closed:
            raise ChannelClosedError
        handed_over: Future[None] = Future()
        try:
            if self._live:
                self._loop.call_soon_threadsafe(self._put, media)
                return
            self._loop.call_soon_threadsafe(self._begin_send, media, handed_over)
        except RuntimeError:
            # The loop itself is closed.
            raise ChannelClosedError from None
        while True:
            try:
                return handed_over.result(_LOOP_CHECK)
            except TimeoutError:
                if self._loop.is_closed():
                    raise ChannelClosedError from None

    def remark(self, text: str) -> None:
        """Say something about the source that people should know, once; from any thread."""
        if text not in self._remarks:
            self._remarks.append(text)

    def close(self) -> None:
        """The source has ended; what is queued is still analysed."""
        self._ended = self._ended or time.monotonic()
        self.audio.close()
        self.video.close()

    def abandon(self) -> None:
        """The call has ended; decode threads find the channels closed."""
        self.audio.abandon()
        self.video.abandon()

    def _begin_send(self, media: Media, handed_over: Future[None]) -> None:
        async def send() -> None:
            try:
                await self._channel(media).send(Arrival(media, time.monotonic()))
            except asyncio.CancelledError:
                handed_over.set_exception(ChannelClosedError())
                raise
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the thread waits for an answer.
                handed_over.set_exception(error)
            else:
                handed_over.set_result(None)

        task = awaited("intake", send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _put(self, media: Media) -> None:
        if not isinstance(media, Tracks) and media.participant in self._paused:
            # What the far end's own pause says is true all the same.
            if not isinstance(media, Gap) or media.reason is not LostReason.PAUSED:
                return
        channel = self._channel(media)
        if not channel.put(Arrival(media, time.monotonic())):
            self._dropped("video" if channel is self.video else "audio")

    def _channel(self, media: Media) -> Channel[Arrival]:
        return self.video if isinstance(media, VideoFrame) else self.audio
