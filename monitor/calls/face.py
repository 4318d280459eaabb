"""Video of one participant → the followed face → windows → outcomes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor import log
from monitor.analysis.face_windows import FaceWindower
from monitor.analysis.faces import FaceTracker
from monitor.calls.judgement import judged
from monitor.calls.stages import Stages
from monitor.types import AlertType, FaceWindow, Gap, LostReason, Outcome, Span, VideoFrame

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture brought."""

    found: bool
    """A face track begins here."""
    lost: bool
    """A face track ends here."""
    outcomes: tuple[Outcome, ...]


class FacePath:
    """The face of one participant."""

    def __init__(self, call: str, participant: str, stages: Stages) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._tracker = FaceTracker(stages.cascade)
        self._windower = FaceWindower(participant)
        self._accounted: float | None = None
        self._end = 0.0
        self._pauses: list[Span] = []
        """Call seconds that were not monitored on purpose and are not accounted for yet."""

    async def push(self, frame: VideoFrame) -> Seen:
        """Take a picture in."""
        if self._accounted is None:
            self._accounted = frame.time
        self._end = frame.time
        try:
            face = await self._stages.executor.run("face", lambda: self._tracker.look(frame))
        except Exception:  # noqa: BLE001
            # One bad picture must not end the call.
            _log.exception("detector failed", detector="face", call=self._call)
            return Seen(False, False, ())
        outcomes = tuple(self._outcomes(self._windower.push(face)))
        return Seen(face.found, face.lost, outcomes)

    def unseen(self, span: Span) -> tuple[Outcome, ...]:
        """Take in that monitoring was paused in `span`; pauses come in order."""
        if self._accounted is None:
            return ()
        start = self._pauses[-1].end if self._pauses else self._end
        self._pauses.append(Span(max(start, span.start), span.end))
        self._end = max(self._end, span.end)
        return tuple(self._outcomes(self._windower.skip(span.end)))

    def finish(self) -> tuple[Outcome, ...]:
        """Judge what is left."""
        return tuple(self._outcomes(self._windower.flush(self._end)))

    def _outcomes(self, windows: Iterable[FaceWindow]) -> Iterator[Outcome]:
        judges = self._stages.judges
        for window in windows:
            start = self._accounted if self._accounted is not None else window.span.start
            self._accounted = window.span.end
            fresh = Span(min(start, window.span.end), window.span.end)
            lost = tuple(self._lost(fresh, window.frames == 0))
            self._pauses = [pause for pause in self._pauses if pause.end > fresh.end]
            yield judged(
                judges.face.judge([window])[0],
                detector=judges.face.name,
                model=judges.face.model,
                policy=judges.policies.get(AlertType.FACE),
                participant=self._participant,
                span=window.span,
                fresh=fresh,
                quality=window.quality,
                lost=lost,
            )

    def _lost(self, fresh: Span, away: bool) -> Iterator[Gap]:
        """Gaps in `fresh`: pauses, and the rest if not one picture came in a whole window."""
        at = fresh.start
        for pause in self._pauses:
            start, end = max(pause.start, at), min(pause.end, fresh.end)
            if end <= start:
                continue
            if away and start > at:
                yield Gap(self._participant, Span(at, start), LostReason.IDLE)
            yield Gap(self._participant, Span(start, end), LostReason.PAUSED)
            at = end
        if away and fresh.end > at:
            # The video was away, not the face.
            yield Gap(self._participant, Span(at, fresh.end), LostReason.IDLE)
