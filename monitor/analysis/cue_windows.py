"""Landmarks, crops and sound of one participant → long windows for physical cues. Pure.

Windows end on a grid of call time and overlap; the part that no earlier window covered is `fresh`,
and these parts hold every second from the first picture to the end given to `flush`. When another
face takes over, the window ends there and the next one starts with nothing.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import CROP_SIDE
from monitor.types import EYE_SHAPE, MOUTH_SHAPE, SOUND_BANDS, SOUND_HZ, CueWindow, Span
from monitor.types.landmarks import POINTS

N = TypeVar("N", np.float32, np.uint8)

LENGTH = 60.0
"""Seconds of a window."""
HOP = 10.0
"""Seconds from the end of a window to that of the next."""
MOST_CROPS = 12
"""Crops a window holds at most, the latest: they are its heaviest part."""


@dataclass(frozen=True, slots=True)
class CueCrop:
    """An upright crop of the followed face."""

    crop: NDArray[np.uint8]
    """Shape (3, 224, 224), RGB."""
    points: NDArray[np.float32]
    """Landmarks in pixels of the crop, shape (POINTS, 2)."""
    scale: float
    """Pixels of the filmed picture for each pixel of the crop."""


@dataclass(frozen=True, slots=True)
class CueFrame:
    """What was found in one picture."""

    time: float
    """Call seconds."""
    points: NDArray[np.float32]
    """Shape (POINTS, 2), pixels of the picture."""
    pose: NDArray[np.float32]
    """Yaw, pitch and roll, degrees, shape (3,)."""
    mouth: NDArray[np.uint8]
    """Luma, shape MOUTH_SHAPE."""
    eyes: NDArray[np.uint8]
    """Luma, shape (2, *EYE_SHAPE), as in a CueWindow."""
    skin: NDArray[np.float32]
    """Mean colour of forehead, right and left cheek, shape (3, 3), RGB, 0 to 255."""
    crop: CueCrop | None
    """About one a second."""


class CueWindower:
    """Cuts one participant's landmarks into windows of `length` seconds every `hop` seconds."""

    def __init__(self, participant: str, length: float = LENGTH, hop: float = HOP) -> None:
        self._participant = participant
        self._length = length
        self._hop = hop
        self._frames: deque[CueFrame] = deque()
        self._crops: deque[tuple[float, CueCrop]] = deque(maxlen=MOST_CROPS)
        self._sound: deque[tuple[float, NDArray[np.float32]]] = deque()
        self._begin = math.nan
        """Call seconds at which the followed face, or what is known of it, begins."""
        self._accounted = math.nan
        """Call seconds up to which windows were emitted."""

    def push(self, frame: CueFrame) -> None:
        """Add what was found in a picture; windows that end before it were taken by `until`."""
        if frame.crop is not None:
            self._crops.append((frame.time, frame.crop))
            # Crops are kept for less long than the rest.
            frame = replace(frame, crop=None)
        self._frames.append(frame)

    def hear(self, start: float, bands: NDArray[np.float32]) -> None:
        """Add sound from call second `start`, shape (frames, SOUND_BANDS)."""
        self._sound.append((start, bands))
        while self._sound[0][0] < start - self._length - self._hop:
            self._sound.popleft()

    def until(self, time: float) -> Iterator[CueWindow]:
        """Yield the windows that end at or before call second `time`; begins at the first call."""
        if math.isnan(self._begin):
            self._begin = self._accounted = time
        while (end := self._following(self._accounted)) <= time:
            yield self._window(end)

    def restart(self, time: float) -> Iterator[CueWindow]:
        """Another face is followed from call second `time` on: yield what the last one gave."""
        yield from self.flush(time)
        self._frames.clear()
        self._crops.clear()
        self._begin = time

    def flush(self, end: float) -> Iterator[CueWindow]:
        """Yield what is left up to call second `end`."""
        if math.isnan(self._begin):
            return
        yield from self.until(end)
        if end > self._accounted:
            yield self._window(end)

    def _following(self, time: float) -> float:
        return (math.floor(time / self._hop + 1e-9) + 1) * self._hop

    def _window(self, end: float) -> CueWindow:
        start = max(self._begin, end - self._length)
        fresh = Span(self._accounted, end)
        self._accounted = end
        while self._frames and self._frames[0].time < start:
            self._frames.popleft()
        frames = [frame for frame in self._frames if frame.time < end]
        crops = [(time, crop) for time, crop in self._crops if start <= time < end]
        return CueWindow(
            participant=self._participant,
            span=Span(min(start, fresh.start), end),
            fresh=fresh,
            times=np.array([frame.time for frame in frames], np.float64),
            points=_stacked([frame.points for frame in frames], (POINTS, 2), np.float32),
            pose=_stacked([frame.pose for frame in frames], (3,), np.float32),
            mouths=_stacked([frame.mouth for frame in frames], MOUTH_SHAPE, np.uint8),
            eyes=_stacked([frame.eyes for frame in frames], (2, *EYE_SHAPE), np.uint8),
            skin=_stacked([frame.skin for frame in frames], (3, 3), np.float32),
            crop_times=np.array([time for time, _ in crops], np.float64),
            crops=_stacked([c.crop for _, c in crops], (3, CROP_SIDE, CROP_SIDE), np.uint8),
            crop_points=_stacked([c.points for _, c in crops], (POINTS, 2), np.float32),
            crop_scale=np.array([c.scale for _, c in crops], np.float32),
            sound=self._heard(Span(min(start, fresh.start), end)),
        )

    def _heard(self, span: Span) -> NDArray[np.float32]:
        if not any(start < span.end for start, _ in self._sound):
            return np.zeros((0, SOUND_BANDS), np.float32)
        sound = np.full((round(span.duration * SOUND_HZ), SOUND_BANDS), np.nan, np.float32)
        for start, bands in self._sound:
            first = round((start - span.start) * SOUND_HZ)
            part = bands[max(0, -first) : max(0, len(sound) - first)]
            at = max(first, 0)
            sound[at : at + len(part)] = part
        return sound


def _stacked(rows: list[NDArray[N]], shape: tuple[int, ...], dtype: type[N]) -> NDArray[N]:
    return np.stack(rows) if rows else np.zeros((0, *shape), dtype)
