"""Tracked faces of one participant → overlapping windows on the call's grid. Pure.

The grid is that of the voice windows: with 3 s every 1 s, windows end at call seconds 3, 4, 5...
whenever the first picture came. Window ends rise and no window starts after the end of the one
before, so the part that no earlier window covered is Span(end of the one before, end), and these
parts hold every second from the first picture to the end given to `flush`.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from monitor.analysis.faces import MIN_FACE_PX, FaceFrame
from monitor.types import FaceWindow, Span

_LATE_START = 0.5
"""Seconds at its beginning that a participant's first window may lack, as for the voice. When it
would lack more, it starts with the first picture and is up to half a second longer instead."""


@dataclass(frozen=True, slots=True)
class FaceScores:
    """What a detector made of the crops of one picture."""

    face: float | None = None
    """Logit of the followed face; None when it was not looked at in this picture."""
    others: tuple[float, ...] = ()
    """Logits of further faces, the most prominent first."""


class FaceWindower:
    """Cuts one participant's faces into windows of `length` seconds every `hop` seconds.

    A stretch in which no window would hold a single picture becomes one window, however long:
    it has `frames` 0 and spans exactly what it accounts for.
    """

    def __init__(self, participant: str, length: float = 3.0, hop: float = 1.0) -> None:
        self._participant = participant
        self._length = length
        self._hop = hop
        self._frames: deque[tuple[FaceFrame, FaceScores]] = deque()
        self._begin = math.nan
        """Call seconds before which nothing is known: the first picture, or the end of a hole."""
        self._accounted = math.nan
        """Call seconds up to which windows were emitted."""
        self._next = 0
        """The next window ends at this many hops of call time."""

    def push(self, frame: FaceFrame, scores: FaceScores) -> Iterator[FaceWindow]:
        """Add what was seen in one picture; yield the windows that end at or before it.

        Pictures may be out of order; one that is too late counts in the windows still open only.
        """
        if math.isnan(self._begin):
            self._begin = self._accounted = frame.time
            first = (frame.time + self._length - _LATE_START) / self._hop
            self._next = math.ceil(first - 1e-9)
        yield from self._until(frame.time)
        place = len(self._frames)
        while place and self._frames[place - 1][0].time > frame.time:
            place -= 1
        if frame.time >= self._begin:
            self._frames.insert(place, (_without_crops(frame), scores))

    def skip(self, time: float) -> Iterator[FaceWindow]:
        """Nothing is shown until call second `time`: yield the windows that end before it."""
        if not math.isnan(self._begin):
            yield from self._until(time)

    def flush(self, end: float) -> Iterator[FaceWindow]:
        """Yield what is left when the participant's video ends at call second `end`.

        The last window ends there instead of on the grid. Nothing is pushed afterwards.
        """
        if math.isnan(self._begin):
            return
        yield from self._until(end)
        if end > self._accounted:
            yield self._window(end)

    def _until(self, time: float) -> Iterator[FaceWindow]:
        """Windows whose end call time `time` has reached."""
        while (end := self._next * self._hop) <= time:
            if not self._frames or self._frames[-1][0].time < self._start(end):
                hops = max(self._next, math.floor(time / self._hop))
                yield self._empty(Span(self._accounted, hops * self._hop))
                self._frames.clear()
                self._begin = self._accounted = hops * self._hop
                self._next = hops + 1
                return
            yield self._window(end)
            self._next += 1

    def _start(self, end: float) -> float:
        """Where the window that ends at `end` starts; never after the end of the one before."""
        return max(min(end - self._length, self._accounted), self._begin)

    def _window(self, end: float) -> FaceWindow:
        start = self._start(end)
        while self._frames and self._frames[0][0].time < start:
            self._frames.popleft()
        self._accounted = end
        inside = [(frame, scores) for frame, scores in self._frames if frame.time < end]
        if not inside:
            return self._empty(Span(start, end))
        frames = [frame for frame, _ in inside]
        faces = [frame.face for frame in frames if frame.face is not None]
        quality = {
            "found_share": len(faces) / len(frames),
            "faces_lost": float(sum(frame.lost for frame in frames)),
        }
        if faces:
            quality["faces"] = float(max(len(frame.others) for frame in frames) + 1)
            for name in sorted({name for face in faces for name in face.quality}):
                values = [face.quality[name] for face in faces if name in face.quality]
                quality[name] = float(np.median(values))
        others = [scores.others for _, scores in inside]
        return FaceWindow(
            participant=self._participant,
            span=Span(start, end),
            logits=np.array([s.face for _, s in inside if s.face is not None], np.float32),
            others=tuple(
                np.array([logits[rank] for logits in others if len(logits) > rank], np.float32)
                for rank in range(max(map(len, others)))
            ),
            # A face without a crop nobody wanted was wide enough, too.
            shown=any(face.quality["face_px"] >= MIN_FACE_PX for face in faces),
            frames=len(frames),
            quality=quality,
        )

    def _empty(self, span: Span) -> FaceWindow:
        return FaceWindow(
            participant=self._participant,
            span=span,
            logits=np.zeros(0, np.float32),
            others=(),
            shown=False,
            frames=0,
            quality={"found_share": 0.0, "faces_lost": 0.0},
        )


def _without_crops(frame: FaceFrame) -> FaceFrame:
    """What is left of a picture once its faces are judged: 150 kB less for each of them."""
    if frame.face is None or (frame.face.crop is None and not frame.others):
        return frame
    others = tuple(replace(other, crop=None) for other in frame.others)
    return replace(frame, face=replace(frame.face, crop=None), others=others)
