"""One monitored call: its source, its participants, and the tasks that end with it."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime

from monitor import log
from monitor.calls.intake import Arrival, CallIntake
from monitor.calls.pipeline import FacePath, Stages, VoicePath
from monitor.metrics import Metrics
from monitor.protocols import Sink, Source, SourceError
from monitor.types import AudioFrame, Gap, LostReason, Span, Tracks, Verdict, VideoFrame

_log = log.get(__name__)

IDLE_AFTER = 2.5
"""Seconds without audio after which a live participant's time is booked as lost."""
_TICK = 0.5


@dataclass(slots=True)
class Participant:
    """What is kept of one participant while the call lasts."""

    name: str
    expects_audio: bool = True
    expects_video: bool = True
    voice: VoicePath | None = None
    face: FacePath | None = None
    verdict: Verdict | None = None
    warned: bool = False


@dataclass(slots=True)
class Call:
    """A call from its first media to its last verdict."""

    id: str
    source: Source
    stages: Stages
    sink: Sink
    metrics: Metrics
    participant: str
    """Label of the participant whose media comes first; sources may bring more."""
    label: str = ""
    """What the caller of the API named the call."""
    started_at: datetime | None = None
    ended: str | None = None
    """Why the call ended, in one word, once it has."""
    detail: str = ""
    """More about the end, in words."""
    participants: dict[str, Participant] = field(default_factory=dict)
    media_seen: asyncio.Event = field(default_factory=asyncio.Event)
    _feeding: asyncio.Task[str] | None = None
    _stopping: bool = False

    async def run(self) -> str:
        """Monitor until the source ends or `stop` is called; return why it ended."""
        self.started_at = self.stages.wall()
        intake = CallIntake(
            self.source.live, lambda stage: self.metrics.dropped.labels(stage).inc()
        )
        self.sink.call_started(self.id, self.source.ingest, self.participant)
        _log.info("call started", call=self.id, ingest=self.source.ingest)
        reason = "fault"
        try:
            reason = await self._monitor(intake)
        except ExceptionGroup as group:
            self.detail = "internal error"
            _log.error("call failed", call=self.id, exc_info=group)
        finally:
            intake.abandon()
            self.ended = reason
            self.sink.call_ended(self.id, reason)
            _log.info("call ended", call=self.id, reason=reason, detail=self.detail)
        return reason

    def stop(self) -> None:
        """End the source; what has arrived is still judged."""
        self._stopping = True
        if self._feeding is not None:
            self._feeding.cancel()

    async def _monitor(self, intake: CallIntake) -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._audio(intake))
            tasks.create_task(self._video(intake))
            idle = tasks.create_task(self._watch_idle(intake)) if self.source.live else None
            self._feeding = tasks.create_task(self._feed(intake))
            if self._stopping:
                self._feeding.cancel()
            reason = await self._feeding
            if idle is not None:
                idle.cancel()
        await self._finish(intake)
        return reason

    async def _feed(self, intake: CallIntake) -> str:
        try:
            return await self.source.run(intake)
        except SourceError as error:
            self.detail = error.detail
            _log.warning("source failed", call=self.id, reason=error.reason, detail=error.detail)
            return error.reason
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return "stopped"
        finally:
            intake.close()

    async def _audio(self, intake: CallIntake) -> None:
        dropped = 0
        async for arrival in intake.audio:
            media = arrival.media
            # What was dropped lay just before the item that comes next.
            overloaded = intake.audio.dropped != dropped
            dropped = intake.audio.dropped
            reason = LostReason.OVERLOAD if overloaded else LostReason.NETWORK
            if isinstance(media, Tracks):
                self._announce(media)
            elif isinstance(media, AudioFrame | Gap):
                await self._hear(arrival, media, reason)

    async def _video(self, intake: CallIntake) -> None:
        async for arrival in intake.video:
            if isinstance(arrival.media, VideoFrame):
                self.media_seen.set()
                participant = self._participant(arrival.media.participant)
                if participant.face is None:
                    participant.face = FacePath(self.id, participant.name, self.stages, self.sink)
                await participant.face.push(arrival.media)

    async def _hear(self, arrival: Arrival, media: AudioFrame | Gap, reason: LostReason) -> None:
        participant = self._participant(media.participant)
        if participant.voice is None:
            participant.voice = VoicePath(self.id, participant.name, self.stages, self.sink)
        if isinstance(media, AudioFrame):
            self.media_seen.set()
        verdicts = await participant.voice.push(media, reason)
        if verdicts:
            participant.verdict = verdicts[-1]
        if verdicts and self.source.live and isinstance(media, AudioFrame):
            lag = time.monotonic() - arrival.at
            self.metrics.lag.labels("voice").observe(lag, {"call": self.id})

    async def _watch_idle(self, intake: CallIntake) -> None:
        """Book silence of a live source's network as lost while it lasts, not at the end."""
        while True:
            await asyncio.sleep(_TICK)
            if not intake.began:
                continue
            now = intake.now()
            for participant in list(self.participants.values()):
                if not participant.expects_audio or len(intake.audio):
                    continue
                heard = participant.voice.end if participant.voice else None
                if now - (heard or 0.0) < IDLE_AFTER:
                    continue
                if heard is None and not participant.warned:
                    participant.warned = True
                    _log.warning("no audio", call=self.id, detail="no audio frame has arrived")
                # Half a tick behind: a frame that is just arriving must not be overtaken.
                gap = Gap(participant.name, Span(heard or 0.0, now - _TICK), LostReason.IDLE)
                intake.audio.put(Arrival(gap, time.monotonic()))

    def _announce(self, tracks: Tracks) -> None:
        participant = self._participant(tracks.participant)
        participant.expects_audio, participant.expects_video = tracks.audio, tracks.video
        if not tracks.audio:
            _log.warning("no audio", call=self.id, detail="the source offers no audio track")
        if not tracks.video:
            _log.info("no video", call=self.id, detail="the source offers no video track")

    def _participant(self, name: str) -> Participant:
        return self.participants.setdefault(name, Participant(name))

    async def _finish(self, intake: CallIntake) -> None:
        """Give every participant a last verdict."""
        for participant in self.participants.values():
            if participant.voice is not None:
                end = participant.voice.end or 0.0
                if self.source.live and intake.began and intake.now() - end > IDLE_AFTER:
                    span = Span(end, intake.now())
                    gap = Gap(participant.name, span, LostReason.IDLE)
                    await participant.voice.push(gap, LostReason.IDLE)
            face = participant.face.finish() if participant.face is not None else None
            if participant.voice is not None:
                participant.verdict = await participant.voice.finish()
            elif face is not None:
                participant.verdict = face
            if participant.verdict is not None:
                self.sink.verdict(self.id, participant.verdict)
