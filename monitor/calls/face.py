"""Video of one participant → the followed face → windows → outcomes."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from monitor.analysis.face_windows import FaceScores, FaceWindower
from monitor.analysis.faces import FaceFrame, FaceTracker
from monitor.calls.absence import Absences
from monitor.calls.admission import Level
from monitor.calls.judgement import judged, measured
from monitor.calls.stages import Stages
from monitor.calls.thinning import Thinning
from monitor.runtime import log
from monitor.types import (
    AbstentionReason,
    AlertType,
    FaceLook,
    FaceWindow,
    Outcome,
    Reading,
    Span,
    VideoFrame,
)
from monitor.types.sampling import Pace

_log = log.get(__name__)
LOOKS_HZ = 2.0
"""Crops of the followed face that are judged a second: more say the same."""
FEW_HZ = 1.0
"""Pictures a second that are searched at `Level.FEW_LOOKS`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture brought."""

    frame: FaceFrame | None
    """None when this picture was not searched for faces."""
    look: FaceLook | None
    """Of the followed face; None when it was not judged in this picture."""
    outcomes: tuple[Outcome, ...]


class FacePath:
    """The face of one participant."""

    def __init__(self, call: str, participant: str, stages: Stages, thinning: Thinning) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._thinning = thinning
        self._tracker = FaceTracker(stages.cascade)
        self._windower = FaceWindower(participant)
        self._tracking = Pace(self._rate)
        self._looking = Pace(lambda _: LOOKS_HZ)
        self._absences = Absences(participant)
        self._searched: deque[float] = deque()
        """Call seconds of the pictures in windows that are still open."""
        self._accounted: float | None = None
        self._end = 0.0

    def _rate(self, _: float) -> float:
        fps = self._stages.sampling.fps
        return fps if self._thinning.level < Level.FEW_LOOKS else min(fps, FEW_HZ)

    async def push(self, picture: VideoFrame) -> Seen:
        """Take a picture in."""
        if self._accounted is None:
            self._accounted = picture.time
        self._end = picture.time
        if not self._tracking.due(picture.time):
            return Seen(None, None, ())
        try:
            frame, looks = await self._stages.executor.run("face", partial(self._see, picture))
        except Exception:  # noqa: BLE001
            # One bad picture must not end the call.
            _log.exception("detector failed", detector="face", call=self._call)
            return Seen(None, None, ())
        self._searched.append(picture.time)
        look, others = (looks[0], looks[1:]) if looks else (None, [])
        scores = FaceScores(
            None if look is None else look.logit, tuple(other.logit for other in others)
        )
        outcomes = tuple(self._outcomes(self._windower.push(frame, scores)))
        return Seen(frame, look, outcomes)

    def unseen(self, span: Span) -> tuple[Outcome, ...]:
        """Take in that monitoring was paused in `span`; pauses come in order."""
        if self._accounted is None:
            return ()
        self._absences.pause(span, self._end)
        self._end = max(self._end, span.end)
        return tuple(self._outcomes(self._windower.skip(span.end)))

    def finish(self) -> tuple[Outcome, ...]:
        """Judge what is left."""
        return tuple(self._outcomes(self._windower.flush(self._end)))

    def _see(self, picture: VideoFrame) -> tuple[FaceFrame, list[FaceLook]]:
        """Follow the face; judge it if it is due, and with it others where they were found."""
        due = False

        def wanted() -> bool:
            nonlocal due
            due = self._looking.due(picture.time)
            return due or self._stages.previewed(self._call)

        frame = self._tracker.look(picture, wanted)
        crop = frame.face.crop if frame.face is not None else None
        others = [other.crop for other in frame.others if other.crop is not None]
        if crop is None or not (due or others):
            return frame, []
        return frame, list(self._stages.judges.face.look(np.stack([crop, *others])))

    def _outcomes(self, windows: Iterable[FaceWindow]) -> Iterator[Outcome]:
        for window in windows:
            start = self._accounted if self._accounted is not None else window.span.start
            self._accounted = window.span.end
            fresh = Span(min(start, window.span.end), window.span.end)
            yield self._outcome(window, fresh)

    def _outcome(self, window: FaceWindow, fresh: Span) -> Outcome:
        judges = self._stages.judges
        level = self._thinning.most(fresh)
        while self._searched and self._searched[0] < fresh.start:
            self._searched.popleft()
        seen = bool(self._searched) and self._searched[0] < fresh.end
        # Pictures came and were not decoded: the video was not away, and what an older picture
        # showed does not speak for these seconds.
        left_out = level >= Level.KEY_FRAMES and not seen
        reading = self._judge(window)
        if left_out:
            reading = Reading(None, AbstentionReason.NOT_EVALUATED)
        if level >= Level.FEW_LOOKS:
            details = {**reading.details, "governor_level": float(level)}
            reading = Reading(reading.value, reading.reason, details)
        lost = self._absences.take(fresh, window.frames == 0 and not left_out)
        policy = judges.policies.get(AlertType.FACE)
        if policy is None and reading.value is not None:
            # What a policy would make of it is unknown: it counts as far as a cue of its name.
            return measured(
                reading,
                detector=judges.face.name,
                model=judges.face.model,
                participant=self._participant,
                span=window.span,
                fresh=fresh,
                quality=window.quality,
                lost=lost,
            )
        return judged(
            reading,
            detector=judges.face.name,
            model=judges.face.model,
            policy=policy,
            participant=self._participant,
            span=window.span,
            fresh=fresh,
            quality=window.quality,
            lost=lost,
        )

    def _judge(self, window: FaceWindow) -> Reading:
        try:
            return self._stages.judges.face.judge(window)
        except Exception:  # noqa: BLE001
            # One bad window must not end the call.
            _log.exception("detector failed", detector="face", call=self._call)
            return Reading(None, AbstentionReason.FAULT)
