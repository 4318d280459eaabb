"""Audio of one participant → windows → outcomes."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial

from monitor.analysis.speech import SpeechMeter
from monitor.analysis.windows import AudioWindower
from monitor.calls import judgement, preview
from monitor.calls.admission import Level
from monitor.calls.stages import Judges, Stages
from monitor.calls.thinning import Thinning
from monitor.decision.looks import Looks, Result
from monitor.runtime import log
from monitor.types import (
    AbstentionReason,
    AlertType,
    AudioFrame,
    AudioPreview,
    AudioWindow,
    Gap,
    LostReason,
    Outcome,
    Reading,
)
from monitor.types.protocols import Listener

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """One window's outcome, and the challenger's if there is one."""

    outcome: Outcome
    challenger: Outcome | None
    preview: AudioPreview | None
    """Only while somebody looks at the call."""


class VoicePath:
    """The voice of one participant."""

    def __init__(self, call: str, participant: str, stages: Stages, thinning: Thinning) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._thinning = thinning
        self._windower = AudioWindower(participant)
        self._meter = SpeechMeter(stages.gate)
        self._looks = Looks(stages.judges.voice.second)
        challenger = stages.challenger
        self._challenging = Looks(challenger.voice.second if challenger is not None else None)
        self._unjudged: AudioWindow | None = None
        """Cut, and not judged yet."""

    @property
    def end(self) -> float | None:
        """Call seconds up to which audio was taken in."""
        return self._windower.end

    @property
    def cut(self) -> float:
        """Seconds of sound that came after its time was accounted for."""
        return self._windower.cut

    def push(self, media: AudioFrame | Gap, reason: LostReason) -> AsyncIterator[Judged]:
        """Take media in; yield what is judged about the windows it completes."""
        if isinstance(media, Gap):
            return self._judge(self._windower.gap(media))
        return self._judge(self._windower.push(media, reason))

    def finish(self) -> AsyncIterator[Judged]:
        """Judge what is left."""
        return self._judge(self._windower.flush())

    async def _judge(self, windows: Iterable[AudioWindow]) -> AsyncIterator[Judged]:
        stages = self._stages
        broken, self._unjudged = self._unjudged, None
        if broken is not None:
            # Its judgement was broken off, together with the call.
            yield self._judged(broken, AbstentionReason.FAULT, AbstentionReason.FAULT)
        for window in windows:
            self._unjudged = window
            try:
                measured, result, other = await stages.executor.run(
                    "voice", partial(self._compute, window)
                )
                for looks, first in ((self._looks, result), (self._challenging, other)):
                    if looks.due(measured, first) and self._thinning.level is Level.FULL:
                        # Work of its own, so that it waits for every first look.
                        await stages.executor.run("second_look", partial(looks.look, measured))
            except Exception:  # noqa: BLE001
                # One bad window must not end the call.
                _log.exception("detector failed", detector="voice", call=self._call)
                measured, result, other = window, AbstentionReason.FAULT, AbstentionReason.FAULT
            yield self._judged(measured, result, other)
            # Whoever asks for the next one has taken this one in.
            self._unjudged = None
            for outcome in await self._heard_beside(measured):
                yield Judged(outcome, None, None)

    def _judged(self, window: AudioWindow, result: Result, other: Result) -> Judged:
        stages, challenger = self._stages, self._stages.challenger
        return Judged(
            self._outcome(stages.judges, self._looks, window, result),
            None
            if challenger is None
            else self._outcome(challenger, self._challenging, window, other),
            # Under half a millisecond, and only for a call on somebody's screen.
            preview.heard(window) if stages.previewed(self._call) else None,
        )

    async def _heard_beside(self, window: AudioWindow) -> list[Outcome]:
        """What other packages' detectors measure; what is thinned out is theirs first."""
        listeners = self._stages.judges.listeners
        if not listeners:
            return []
        readings = [Reading(None, AbstentionReason.NOT_EVALUATED)] * len(listeners)
        if self._thinning.level is Level.FULL:
            work = partial(self._readings, listeners, window)
            readings = await self._stages.executor.run("listeners", work)
        return [
            judgement.measured(
                reading,
                detector=listener.name,
                model=listener.model,
                participant=self._participant,
                span=window.span,
                fresh=window.fresh,
                quality=window.quality,
                lost=window.lost,
            )
            for listener, reading in zip(listeners, readings, strict=True)
        ]

    def _readings(self, listeners: Iterable[Listener], window: AudioWindow) -> list[Reading]:
        readings = []
        for listener in listeners:
            try:
                readings.append(listener.measure(window))
            except Exception:  # noqa: BLE001
                # One that fails must silence neither the others nor the voice.
                _log.exception("detector failed", detector=listener.name, call=self._call)
                readings.append(Reading(None, AbstentionReason.FAULT))
        return readings

    def _compute(self, window: AudioWindow) -> tuple[AudioWindow, Result, Result]:
        judges, challenger = self._stages.judges, self._stages.challenger
        measured = self._meter.measure(window)
        result = judges.voice.judge([measured])[0]
        if challenger is None or challenger.voice.model == judges.voice.model:
            return measured, result, result
        return measured, result, challenger.voice.judge([measured])[0]

    def _outcome(self, judges: Judges, looks: Looks, window: AudioWindow, first: Result) -> Outcome:
        result, quality = looks.fused(window, first)
        return judgement.judged(
            result,
            detector=judges.voice.name,
            model=judges.voice.model,
            policy=judges.policies.get(AlertType.VOICE),
            participant=self._participant,
            span=window.span,
            fresh=window.fresh,
            quality=quality,
            lost=window.lost,
        )
