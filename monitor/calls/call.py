"""One monitored call: its source, its participants, and the tasks that end with it."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitor.calls.admission import Level
from monitor.calls.intake import Arrival, CallIntake
from monitor.calls.pause import Pause, PauseError, PauseReason
from monitor.calls.pipeline import Pipeline
from monitor.calls.record import CallRecord
from monitor.calls.stages import Stages
from monitor.calls.standstill import Standstill
from monitor.calls.thinning import Thinning
from monitor.calls.timings import Timings
from monitor.metrics.sink import Metrics, exemplar
from monitor.runtime import failures, log
from monitor.types import AudioFrame, Gap, LostReason, Span, Timing, Tracks, VideoFrame
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Sink, Source, SourceError

_log = log.get(__name__)

IDLE_AFTER = 4.0
"""Seconds without audio after which a live participant's time is booked as lost."""
_UNEVEN_END = 2.5  # Seconds without audio before a call's end that are no absence.
_TICK = 0.5


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
    label: str = ""  # what the caller of the API named it
    owner: str = ""  # by which token or peer it is sent; empty if it is pulled
    started_at: datetime | None = None
    ended: str | None = None
    """Why the call ended, in one word, once it has; `detail` says more."""
    detail: str = ""
    remarks: list[str] = field(default_factory=list)  # what the source says that one should know
    participants: dict[str, Pipeline] = field(default_factory=dict)
    media_seen: asyncio.Event = field(default_factory=asyncio.Event)
    evidence: PacketTarget | None = None
    """Where encoded media goes too; None when nobody keeps it."""
    _joined: dict[str, float] = field(default_factory=dict)
    """Call seconds at which each participant was first heard of."""
    _timings: Timings = field(default_factory=Timings)
    _paused: dict[str, Pause] = field(default_factory=dict)
    _intake: CallIntake | None = None
    _thinning: Thinning = field(default_factory=Thinning)
    _feeding: asyncio.Task[str] | None = None
    _stopping: bool = False
    _standstill: Standstill = field(default_factory=Standstill)

    def record(self) -> CallRecord:
        """Return what is known now."""
        return CallRecord(
            id=self.id,
            label=self.label,
            ingest=self.source.ingest,
            started_at=self.started_at,
            ended=self.ended,
            detail=self.detail or "; ".join(self.remarks),
            media=self.media_seen.is_set(),
            participants=tuple((p.tracks, p.verdict) for p in self.participants.values()),
            paused=dict(self._paused),
            clocks=self._timings.latest(),
        )

    def join(self, participant: str) -> None:
        """Expect a further participant, whose media the source brings."""
        self._pipeline(participant)

    def pause(self, participant: str, reason: PauseReason) -> Pause:
        """Stop monitoring a participant until `resume`; a second call changes only the reason.

        Raises PauseError for a call that is over, a replay, and a participant that is not there.
        """
        if self.ended is not None:
            raise PauseError("the call is over")
        if not self.source.live:
            raise PauseError("a replay cannot be paused")
        if participant not in self.participants and participant != self.participant:
            raise PauseError("the call has no such participant")
        known = self._paused.get(participant)
        if known is None or known.reason is not reason:
            since = known.since if known is not None else self._now()
            self._paused[participant] = known = Pause(reason, since)
            self.sink.paused(self.id, participant, self._now(), reason)
            _log.info("monitoring paused", call=self.id, participant=participant, reason=reason)
        return known

    def resume(self, participant: str) -> None:
        """Go on monitoring a participant; does nothing if it is not paused."""
        if participant in self._paused:
            self._book_pause(participant)
            del self._paused[participant]
            self.sink.paused(self.id, participant, self._now(), None)
            _log.info("monitoring resumed", call=self.id, participant=participant)

    def thin(self, level: Level) -> None:
        """Look at no more than `level` says from now on; a replay is never thinned."""
        if self.source.live:
            self._thinning.change(self._now(), level)
            if self._intake is not None:
                self._intake.key_frames = self._thinning.key_frames

    def _now(self) -> float:
        """Call seconds; 0 before the first media."""
        return self._intake.now() if self._intake is not None and self._intake.began else 0.0

    def _book_pause(self, participant: str) -> None:
        """Account for a pause up to now."""
        intake, pipeline = self._intake, self.participants.get(participant)
        if intake is None or not intake.began or pipeline is None:
            return
        span = Span(self._paused[participant].since, intake.now())
        gap = Gap(participant, span, LostReason.PAUSED)
        tracks = pipeline.tracks
        for channel, offered in ((intake.audio, tracks.audio), (intake.video, tracks.video)):
            if offered:
                channel.put(Arrival(gap, time.monotonic()))

    async def run(self) -> str:
        """Monitor until the source ends or `stop` is called; return why it ended."""
        self.started_at = self.stages.wall()
        intake = self._intake = CallIntake(
            self.source.live,
            lambda stage: self.metrics.dropped.labels(stage).inc(),
            self._paused,
            self.evidence,
            self.remarks,
        )
        reason = "fault"
        try:
            intake.key_frames = self._thinning.key_frames
            self.sink.call_started(self.id, self.source.ingest, self.participant)
            _log.info("call started", call=self.id, ingest=self.source.ingest)
            reason = await self._monitor(intake)
        except Exception as error:  # noqa: BLE001
            # Whatever it was, others' calls go on and this one's seconds are accounted for.
            self._fail("call", error)
            await self._finish(intake, failed=True)
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
        await self._finish(intake, failed=reason == "fault")
        return reason

    def _fail(self, part: str, error: Exception) -> None:
        self.detail = "internal error"
        failures.heard(part, error, call=self.id)

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
        except Exception as error:  # noqa: BLE001
            # What has arrived is still judged.
            self._fail("source", error)
            return "fault"
        finally:
            intake.close()

    async def _audio(self, intake: CallIntake) -> None:
        dropped = 0
        async for arrival in intake.audio:
            media = arrival.media
            # What was dropped lay just before the item that comes next.
            still = self._standstill.lately(arrival.at)
            before, dropped = dropped, intake.audio.dropped
            reason = LostReason.OVERLOAD if still or dropped != before else LostReason.NETWORK
            if still and isinstance(media, Gap) and media.reason is LostReason.NETWORK:
                media = replace(media, reason=reason)
            if isinstance(media, Tracks):
                self._announce(media)
            elif isinstance(media, Timing):
                self._timings.take(media, self.id, self.metrics)
            elif isinstance(media, AudioFrame | Gap):
                await self._hear(arrival, media, reason)

    async def _video(self, intake: CallIntake) -> None:
        async for arrival in intake.video:
            if isinstance(arrival.media, VideoFrame):
                self.media_seen.set()
                await self._pipeline(arrival.media.participant).see(arrival.media)
            elif isinstance(arrival.media, Gap):
                await self._pipeline(arrival.media.participant).unseen(arrival.media)

    async def _hear(self, arrival: Arrival, media: AudioFrame | Gap, reason: LostReason) -> None:
        if isinstance(media, AudioFrame):
            self.media_seen.set()
        completed = await self._pipeline(media.participant).hear(media, reason)
        if completed and self.source.live and isinstance(media, AudioFrame):
            self.metrics.lag.labels("voice").observe(
                time.monotonic() - arrival.at, exemplar(self.id)
            )

    async def _watch_idle(self, intake: CallIntake) -> None:
        """Book silence of a live source's network as lost while it lasts, not at the end."""
        while True:
            await self._standstill.sleep(_TICK)
            if not intake.began or self._standstill.lately(time.monotonic(), _TICK):
                continue
            now = intake.now()
            for pipeline in list(self.participants.values()):
                if pipeline.participant in self._paused:
                    self.media_seen.set()  # it came, or the call would not have begun
                    self._book_pause(pipeline.participant)
                    continue
                if (since := pipeline.heard) is None:
                    since = self._joined[pipeline.participant]
                if not pipeline.tracks.audio or len(intake.audio) or now - since < IDLE_AFTER:
                    continue
                if pipeline.heard is None:
                    _log.warning("no audio", call=self.id, detail="no audio frame has arrived")
                # Half a tick behind: a frame that is just arriving must not be overtaken.
                gap = Gap(pipeline.participant, Span(since, now - _TICK), LostReason.IDLE)
                intake.audio.put(Arrival(gap, time.monotonic()))

    def _announce(self, tracks: Tracks) -> None:
        pipeline = self._pipeline(tracks.participant)
        left = pipeline.tracks.audio or pipeline.tracks.video
        pipeline.tracks = tracks
        if left and pipeline.heard is not None and not (tracks.audio or tracks.video):
            _log.info("participant left", call=self.id)
            return
        if not tracks.audio:
            _log.warning("no audio", call=self.id, detail="the source offers no audio track")
        if not tracks.video:
            _log.info("no video", call=self.id, detail="the source offers no video track")

    def _pipeline(self, participant: str) -> Pipeline:
        if participant not in self.participants:
            parts = self.stages, self.sink, self._thinning
            self.participants[participant] = Pipeline(self.id, participant, *parts)
            self._joined[participant] = self._now()
        return self.participants[participant]

    async def _finish(self, intake: CallIntake, failed: bool) -> None:
        """Give every participant a last verdict; what is missing since a part failed is lost."""
        for pipeline in list(self.participants.values()):
            try:
                await self._settle(pipeline, intake, failed)
            except Exception as error:
                if not failed:
                    raise
                # It is what failed; the others' books are closed all the same.
                self._fail("call", error)

    async def _settle(self, pipeline: Pipeline, intake: CallIntake, failed: bool) -> None:
        if (pause := self._paused.get(pipeline.participant)) is not None:
            gap = Gap(pipeline.participant, Span(pause.since, intake.now()), LostReason.PAUSED)
            await pipeline.unseen(gap)
            if pipeline.tracks.audio:
                await pipeline.hear(gap, LostReason.PAUSED)
        heard = pipeline.heard if pipeline.tracks.audio else None  # Who has left lacks nothing.
        allowed = 0.0 if failed else _UNEVEN_END
        if heard is not None and self.source.live and intake.now() - heard > allowed:
            reason = LostReason.FAULT if failed else LostReason.IDLE
            gap = Gap(pipeline.participant, Span(heard, intake.now()), reason)
            await pipeline.hear(gap, reason)
        await pipeline.finish()
        self.metrics.corrected.labels("cut").inc(pipeline.cut)
