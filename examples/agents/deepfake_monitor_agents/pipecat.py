"""A Pipecat processor: put it right behind the transport's input.

    monitor = DeepfakeMonitorProcessor(url="wss://monitor.example", token=TOKEN, call="hotline")
    pipeline = Pipeline([transport.input(), monitor, ..., transport.output()])
    worker = PipelineWorker(pipeline, idle_timeout_frames=LISTENING)

    @monitor.event_handler("on_alert")
    async def on_alert(processor, participant, alert): ...

Every frame goes on as it came, at once. What the monitor says goes downstream as frames and to
handlers of `on_verdict`, `on_alert`, `on_refused`, `on_call` and `on_missed`.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    BotSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    SystemFrame,
    UserAudioRawFrame,
    UserSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from deepfake_monitor_agents.people import People
from deepfake_monitor_agents.stream import Event, Monitor

LISTENING = (BotSpeakingFrame, UserSpeakingFrame, InputAudioRawFrame, UserAudioRawFrame)
"""Frames that show that a pipeline is in use. By default sound that comes in is none of them: one
that only listens counts as idle, and ends, after five minutes, and its runner with all others."""
_KINDS = ("verdict", "alert", "refused", "call", "missed")
_WAITING = 500
"""Events that a handler which is slow may fall behind before the oldest give way."""


@dataclass
class DeepfakeMonitorFrame(SystemFrame):
    """What the monitor said; no interruption drops it."""

    kind: str = ""
    participant: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class DeepfakeMonitorProcessor(FrameProcessor):
    """Sends the sound that passes to the monitor, each user's by itself."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        call: str = "",
        participant: str = "remote",
        events: tuple[str, ...] = ("verdict", "alert"),
        **kwargs: Any,
    ) -> None:
        """`participant` names whoever is heard where a transport does not."""
        super().__init__(**kwargs)
        self._participant = participant
        self._events: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._people = People(Monitor(url, token, call, events), self._put)
        self._telling: asyncio.Task[None] | None = None
        for kind in _KINDS:
            self._register_event_handler(f"on_{kind}")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hear what is sound, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame) and direction is FrameDirection.DOWNSTREAM:
            if self._telling is None:
                self._telling = self.create_task(self._tell())
            who = getattr(frame, "user_id", "") or self._participant
            self._people.feed(who, frame.audio, frame.sample_rate, frame.num_channels)
        elif isinstance(frame, EndFrame):
            await self._people.close()
            if self._telling is not None:
                await self._events.join()
        elif isinstance(frame, CancelFrame):
            await self._people.close(0.0)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Let go of every connection."""
        await self._people.close(0.0)
        if self._telling is not None:
            await self.cancel_task(self._telling)
            self._telling = None
        await super().cleanup()

    def _put(self, event: Event) -> None:
        if self._events.full():
            self._events.get_nowait()
            self._events.task_done()
        self._events.put_nowait(event)

    async def _tell(self) -> None:
        while True:
            event = await self._events.get()
            try:
                said = DeepfakeMonitorFrame(event.kind, event.participant, event.data)
                await self.push_frame(said)
                if event.kind in _KINDS:
                    name = f"on_{event.kind}"
                    await self._call_event_handler(name, event.participant, event.data)
            finally:
                self._events.task_done()
