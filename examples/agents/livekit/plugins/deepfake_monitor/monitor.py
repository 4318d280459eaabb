"""Voices of a room or of an agent's session, sent to the monitor."""

import asyncio
from collections.abc import Callable
from typing import Any

from deepfake_monitor_agents.people import People
from deepfake_monitor_agents.stream import Event, Monitor
from livekit import rtc
from livekit.agents.voice.io import AudioInput

_RATE = 16_000
"""Hertz at which tracks are heard; the monitor listens no higher."""
_AHEAD = 250
"""Pieces of a track that may wait: the library's own queue would grow for ever."""


class DeepfakeMonitor(rtc.EventEmitter[str]):
    """Emits `verdict`, `alert`, `refused`, `call` and `missed`, each with an `Event`."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        call: str = "",
        events: tuple[str, ...] = ("verdict", "alert"),
    ) -> None:
        """`call`: a label, such as the room's name."""
        super().__init__()
        self._people = People(Monitor(url, token, call, events), self._heard)
        self._following: dict[str, asyncio.Task[None]] = {}
        """By the id of the track."""

    def watch(self, room: rtc.Room) -> None:
        """Hear every microphone of a room, those that are there and those that come."""
        room.on("track_subscribed", self._subscribed)
        room.on("track_unsubscribed", self._unsubscribed)
        room.on("track_muted", lambda who, publication: self._mute(who, publication, True))
        room.on("track_unmuted", lambda who, publication: self._mute(who, publication, False))
        for participant in room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track is not None:
                    self._subscribed(publication.track, publication, participant)

    def follow(self, track: rtc.Track, participant: str) -> None:
        """Hear one track until it ends."""
        if track.sid not in self._following:
            task = asyncio.create_task(self._follow(track, participant))
            self._following[track.sid] = task
            task.add_done_callback(lambda _: self._following.pop(track.sid, None))

    def listen(self, source: AudioInput, participant: str = "remote") -> AudioInput:
        """Return the same sound, heard while the session takes it."""
        return _Heard(source, lambda frame: self._feed(participant, frame))

    async def aclose(self) -> None:
        """End all streams and wait for their last events."""
        for task in list(self._following.values()):
            task.cancel()
        await asyncio.gather(*self._following.values(), return_exceptions=True)
        await self._people.close()

    async def _follow(self, track: rtc.Track, participant: str) -> None:
        stream = rtc.AudioStream(track, capacity=_AHEAD, sample_rate=_RATE, num_channels=1)
        try:
            async for event in stream:
                self._feed(participant, event.frame)
        finally:
            self._people.leave(participant)
            await stream.aclose()

    def _feed(self, participant: str, frame: rtc.AudioFrame) -> None:
        samples = frame.data.tobytes()
        self._people.feed(participant, samples, frame.sample_rate, frame.num_channels)

    def _subscribed(self, track: rtc.Track, publication: Any, who: rtc.RemoteParticipant) -> None:
        if publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            self.follow(track, who.identity)

    def _unsubscribed(self, track: rtc.Track, publication: Any, who: Any) -> None:
        if (task := self._following.get(track.sid)) is not None:
            task.cancel()

    def _mute(self, who: rtc.Participant, publication: Any, muted: bool) -> None:
        if publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            self._people.mute(who.identity, muted)

    def _heard(self, event: Event) -> None:
        self.emit(event.kind, event)


class _Heard(AudioInput):
    """Passes a session's sound on and hears it."""

    def __init__(self, source: AudioInput, heard: Callable[[rtc.AudioFrame], None]) -> None:
        super().__init__(label="DeepfakeMonitor", source=source)
        self._hear = heard

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        self._hear(frame)
        return frame
