"""One participant's path from media to verdict and alerts."""

import math

from monitor.calls import preview
from monitor.calls.cues import CuePath
from monitor.calls.face import FacePath
from monitor.calls.stages import Stages
from monitor.calls.thinning import Thinning
from monitor.calls.voice import Judged, VoicePath
from monitor.decision.alarm import Transition
from monitor.decision.participant import ParticipantDecision, TypedTransition
from monitor.types import (
    Alert,
    AlertAction,
    AudioFrame,
    Gap,
    LostReason,
    Outcome,
    Preview,
    Tracks,
    Verdict,
    VideoFrame,
)
from monitor.types.protocols import Sink


class Pipeline:
    """A participant while the call lasts: its voice, its face, and what is decided."""

    def __init__(
        self, call: str, participant: str, stages: Stages, sink: Sink, thinning: Thinning
    ) -> None:
        self.participant = participant
        self.tracks = Tracks(participant, audio=True, video=True)
        self.verdict: Verdict | None = None
        """The latest; None before the first window."""
        self._call = call
        self._stages = stages
        self._sink = sink
        self._thinning = thinning
        self._voice: VoicePath | None = None
        self._face: FacePath | None = None
        self._cues: CuePath | None = None
        self._paused_until = -math.inf
        """Call seconds; a block of sound that is handed on after a pause may begin within it."""
        self._decision = ParticipantDecision(participant, stages.judges.policies, stages.timing)
        self._challenger = (
            ParticipantDecision(participant, stages.challenger.policies, stages.timing)
            if stages.challenger is not None
            else None
        )

    @property
    def heard(self) -> float | None:
        """Call seconds up to which audio was taken in; None before the first."""
        return self._voice.end if self._voice is not None else None

    @property
    def cut(self) -> float:
        """Seconds of sound that came after its time was accounted for."""
        return self._voice.cut if self._voice is not None else 0.0

    async def hear(self, media: AudioFrame | Gap, reason: LostReason) -> bool:
        """Take audio in; return whether it completed a window."""
        if self._voice is None:
            self._voice = VoicePath(self._call, self.participant, self._stages, self._thinning)
        if isinstance(media, Gap) and media.reason is LostReason.PAUSED:
            self._paused_until = media.span.end
        elif isinstance(media, AudioFrame):
            media = media.since(self._paused_until)
            if self._cues is not None:
                self._cues.hear(media)
        completed = False
        async for judged in self._voice.push(media, reason):
            self._decide_voice(judged)
            completed = True
        return completed

    async def see(self, frame: VideoFrame) -> None:
        """Take a picture in."""
        if self._face is None:
            self._face = FacePath(self._call, self.participant, self._stages, self._thinning)
            self._cues = self._cue_path()
        seen = await self._face.push(frame)
        if seen.frame is not None and seen.frame.lost:
            self._sink.face(self._call, self.participant, frame.time, False)
        if seen.frame is not None and seen.frame.found:
            self._sink.face(self._call, self.participant, frame.time, True)
        if seen.frame is not None and self._stages.previewed(self._call):
            self._show(preview.seen(seen.frame, seen.look))
        for outcome in seen.outcomes:
            self._decide(outcome)
        if self._cues is not None:
            for outcome in await self._cues.push(frame, seen.frame):
                self._decide(outcome)

    async def unseen(self, gap: Gap) -> None:
        """Take in that pictures were withheld."""
        if self._face is not None:
            for outcome in self._face.unseen(gap.span):
                self._decide(outcome)
        if self._cues is not None:
            for outcome in await self._cues.unseen(gap.span):
                self._decide(outcome)

    async def finish(self) -> None:
        """Judge what is left and give the last verdict."""
        if self._voice is not None:
            async for judged in self._voice.finish():
                self._decide_voice(judged)
        if self._face is not None:
            for outcome in self._face.finish():
                self._decide(outcome)
        if self._cues is not None:
            for outcome in await self._cues.finish():
                self._decide(outcome)
        step = self._decision.finish()
        self._announce(step.verdict, step.transitions)
        # What is still raised is a finding: say it once more with the final numbers.
        updates = (
            TypedTransition(type_, Transition(tier, AlertAction.UPDATED, sequence))
            for type_, tier, sequence in self._decision.raised()
        )
        for update in updates:
            self._alert(update, step.verdict)

    def _cue_path(self) -> CuePath | None:
        """None where there is nothing to look for cues with, or nobody wants them."""
        stages = self._stages
        if stages.landmarker is None or not stages.sampling.burst_seconds:
            return None
        return CuePath(self._call, self.participant, stages, stages.landmarker, self._thinning)

    def _show(self, picture: Preview | None) -> None:
        if picture is not None:
            self._sink.preview(self._call, picture)

    def _decide_voice(self, judged: Judged) -> None:
        self._show(judged.preview)
        self._decide(judged.outcome)
        if self._challenger is None or judged.challenger is None or self.verdict is None:
            return
        other = self._challenger.update(judged.challenger).verdict
        self._sink.compared(self._call, self.verdict, other)

    def _decide(self, outcome: Outcome) -> None:
        # First, so that an outcome that cannot be decided about is told to nobody.
        step = self._decision.update(outcome)
        self._sink.window(self._call, outcome)
        self._announce(step.verdict, step.transitions)

    def _announce(self, verdict: Verdict, transitions: tuple[TypedTransition, ...]) -> None:
        self.verdict = verdict
        self._sink.verdict(self._call, verdict)
        for transition in transitions:
            self._alert(transition, verdict)

    def _alert(self, transition: TypedTransition, verdict: Verdict) -> None:
        type_, change = transition.type, transition.change
        certificate = self._decision.policy(type_).certificate
        self._sink.alert(
            Alert(
                call=self._call,
                participant=self.participant,
                type=type_,
                tier=change.tier,
                action=change.action,
                sequence=change.sequence,
                raised_at=self._stages.wall().isoformat(timespec="milliseconds"),
                span=self._decision.span(type_),
                certified=certificate.tiers[change.tier].certified,
                verdict=verdict,
                evidence=self._decision.evidence(type_),
                models=self._stages.judges.models,
                calibration=certificate.identity,
            )
        )
