"""One participant's path from media to verdict and alerts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from monitor import log
from monitor.analysis.cascade import Cascade
from monitor.analysis.face_windows import FaceWindower
from monitor.analysis.faces import FaceTracker
from monitor.analysis.speech import SpeechGate, SpeechMeter
from monitor.analysis.windows import AudioWindower
from monitor.decision.alarm import AlarmTiming, Transition
from monitor.decision.decision import Decision
from monitor.decision.ledger import Ledger
from monitor.decision.policy import Policy
from monitor.inference.executor import Executor
from monitor.protocols import Detector, Sink
from monitor.types import (
    Abstention,
    AbstentionReason,
    AlarmState,
    Alert,
    AlertAction,
    AlertType,
    AudioFrame,
    AudioWindow,
    FaceWindow,
    Gap,
    LostReason,
    Outcome,
    Score,
    Span,
    Verdict,
    VideoFrame,
)

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Stages:
    """What all calls share."""

    gate: SpeechGate
    voice: Detector[AudioWindow]
    voice_policy: Policy
    cascade: Cascade
    face: Detector[FaceWindow]
    executor: Executor
    timing: AlarmTiming
    wall: Callable[[], datetime]
    """Wall-clock time, for alerts only."""


class VoicePath:
    """Audio of one participant → windows → outcomes → verdicts."""

    def __init__(self, call: str, participant: str, stages: Stages, sink: Sink) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._sink = sink
        self._windower = AudioWindower(participant)
        self._meter = SpeechMeter(stages.gate)
        self._decision = Decision(participant, AlertType.VOICE, stages.voice_policy, stages.timing)

    @property
    def end(self) -> float | None:
        """Call seconds up to which audio was taken in."""
        return self._windower.end

    async def push(self, media: AudioFrame | Gap, reason: LostReason) -> list[Verdict]:
        """Take media in; return the verdicts of the windows it completes."""
        if isinstance(media, Gap):
            return await self._judge(self._windower.gap(media))
        return await self._judge(self._windower.push(media, reason))

    async def finish(self) -> Verdict:
        """Judge what is left and return the last verdict."""
        await self._judge(self._windower.flush())
        verdict = self._decision.verdict(self._windower.end or 0.0)
        for tier, sequence in self._decision.raised:
            self._alert(Transition(tier, AlertAction.UPDATED, sequence), verdict)
        return verdict

    async def _judge(self, windows: Iterable[AudioWindow]) -> list[Verdict]:
        verdicts = []
        for window in windows:
            outcome = await self._outcome(window)
            step = self._decision.update(outcome)
            self._sink.window(self._call, outcome)
            self._sink.verdict(self._call, step.verdict)
            for transition in step.transitions:
                self._alert(transition, step.verdict)
            verdicts.append(step.verdict)
        return verdicts

    async def _outcome(self, window: AudioWindow) -> Outcome:
        voice = self._stages.voice

        def judge() -> tuple[AudioWindow, float | AbstentionReason]:
            measured = self._meter.measure(window)
            return measured, voice.judge([measured])[0]

        try:
            measured, result = await self._stages.executor.run("voice", judge)
        except Exception:  # noqa: BLE001
            # One bad window must not end the call.
            _log.exception("detector failed", detector=voice.name, call=self._call)
            measured, result = window, AbstentionReason.FAULT
        if isinstance(result, AbstentionReason):
            return Abstention(
                detector=voice.name,
                participant=self._participant,
                span=measured.span,
                fresh=measured.fresh,
                lost=measured.lost,
                quality=measured.quality,
                reason=result,
            )
        return Score(
            detector=voice.name,
            participant=self._participant,
            span=measured.span,
            fresh=measured.fresh,
            lost=measured.lost,
            quality=measured.quality,
            value=result,
            llr=self._stages.voice_policy.calibration.llr(result),
            model=voice.model,
            calibration=self._stages.voice_policy.identity,
        )

    def _alert(self, transition: Transition, verdict: Verdict) -> None:
        certificate = self._stages.voice_policy.certificate
        self._sink.alert(
            Alert(
                call=self._call,
                participant=self._participant,
                type=AlertType.VOICE,
                tier=transition.tier,
                action=transition.action,
                sequence=transition.sequence,
                raised_at=self._stages.wall().isoformat(timespec="milliseconds"),
                span=self._decision.span or Span(0.0, verdict.time),
                certified=certificate.tiers[transition.tier].certified,
                verdict=verdict,
                evidence=self._decision.evidence(),
                models={self._stages.voice.name: self._stages.voice.model},
                calibration=certificate.identity,
            )
        )


class FacePath:
    """Video of one participant → tracked faces → windows → outcomes."""

    def __init__(self, call: str, participant: str, stages: Stages, sink: Sink) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._sink = sink
        self._tracker = FaceTracker(stages.cascade)
        self._windower = FaceWindower(participant)
        self._ledger = Ledger()
        self._accounted: float | None = None
        self._end = 0.0

    async def push(self, frame: VideoFrame) -> None:
        """Take a picture in."""
        if self._accounted is None:
            self._accounted = frame.time
        self._end = frame.time

        try:
            seen = await self._stages.executor.run("face", lambda: self._tracker.look(frame))
        except Exception:  # noqa: BLE001
            # One bad picture must not end the call.
            _log.exception("detector failed", detector="cascade", call=self._call)
            return
        if seen.lost:
            self._sink.face(self._call, self._participant, seen.time, False)
        if seen.found:
            self._sink.face(self._call, self._participant, seen.time, True)
        self._judge(self._windower.push(seen))

    def finish(self) -> Verdict:
        """Judge what is left; return a verdict for a participant without audio."""
        self._judge(self._windower.flush(self._end))
        return Verdict(
            participant=self._participant,
            time=self._end,
            state=AlarmState.WARMING,
            type=AlertType.FACE,
            statistic=float("-inf"),
            llr=None,
            p_value=None,
            onset=None,
            seconds=self._ledger.seconds(),
        )

    def _judge(self, windows: Iterable[FaceWindow]) -> None:
        face = self._stages.face
        for window in windows:
            result = face.judge([window])[0]
            # A raw logit needs a calibration of its own before it may count.
            reason = result if isinstance(result, AbstentionReason) else AbstentionReason.NO_MODEL
            start = self._accounted if self._accounted is not None else window.span.start
            outcome = Abstention(
                detector=face.name,
                participant=self._participant,
                span=window.span,
                fresh=Span(min(start, window.span.end), window.span.end),
                quality=window.quality,
                reason=reason,
            )
            self._accounted = window.span.end
            self._ledger.record(outcome)
            self._sink.window(self._call, outcome)
