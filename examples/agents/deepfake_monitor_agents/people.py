"""Everybody whom an agent hears, each with a stream of their own."""

import asyncio
import logging
from collections.abc import Callable

from deepfake_monitor_agents.stream import Event, Monitor, ParticipantStream

logger = logging.getLogger("deepfake_monitor")

_MOST = 16
"""Participants at once."""


class People:
    """Opens a stream for whoever speaks, and another one when their sound changes its format."""

    def __init__(self, monitor: Monitor, heard: Callable[[Event], None]) -> None:
        """`heard` gets the events of all; it must not block."""
        self._monitor = monitor
        self._heard = heard
        self._streams: dict[str, ParticipantStream] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    def feed(self, participant: str, samples: bytes, rate: int, channels: int) -> None:
        """Take 16-bit samples; what cannot be monitored is refused once, by an event."""
        stream = self._streams.get(participant)
        if stream is not None and (stream.rate, stream.channels) != (rate, channels):
            self.leave(participant)
            stream = None
        if stream is None:
            reason = ""
            if channels not in (1, 2):
                reason = f"{channels} channels: 1 or 2 are taken"
            elif len(self._streams) >= _MOST:
                reason = f"{_MOST} participants are monitored already"
            if reason:
                self._refuse(participant, reason)
                return
            stream = ParticipantStream(self._monitor, participant, rate, channels, self._heard)
            self._streams[participant] = stream
        stream.feed(samples)

    def mute(self, participant: str, muted: bool) -> None:
        """Say that a participant is muted, or is not any more."""
        if (stream := self._streams.get(participant)) is not None:
            stream.mute(muted)

    def leave(self, participant: str) -> None:
        """End somebody's stream; the last events still come."""
        if (stream := self._streams.pop(participant, None)) is not None:
            task = asyncio.create_task(stream.close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def close(self, timeout: float = 10.0) -> None:
        """End all streams and wait for their last events, for `timeout` seconds at most."""
        streams, self._streams = list(self._streams.values()), {}
        await asyncio.gather(*(stream.close(timeout) for stream in streams), *self._leaving)

    def _refuse(self, participant: str, detail: str) -> None:
        if participant not in self._told:
            self._told.add(participant)
            logger.error("the monitor does not listen to %s: %s", participant, detail)
            self._heard(Event("refused", participant, {"detail": detail}))
