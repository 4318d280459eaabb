"""Lips and voice that move together, or not: is this the mouth that says this?

What is seen of the lips is compared with what is heard at every delay that the window allows. The
delays near zero are the claim; all others are how well the same lips agree with the same voice
where they do not belong together: the window is its own null. A network trained on genuine
talking video alone turns both into vectors that agree (after Chung and Zisserman, "Out of time",
2016); without it, the opening of the mouth is correlated with the loudness of speech, which is much
weaker and there for comparison only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.detectors.mouth import (
    HZ,
    SPEECH_BANDS,
    STEPS,
    Burst,
    Floats,
    agreement,
    burst,
    followable,
    loudness,
    openings,
    standardised,
)
from monitor.inference.catalogue import Model
from monitor.inference.onnx import Session
from monitor.types import MOUTH_SHAPE, SOUND_BANDS, SOUND_HZ, AbstentionReason, CueWindow, Reading

NEAR = 6
"""Steps that the voice may be early or late in a genuine call: 0.24 s. Networks delay one or the
other by a constant; that is shown, and says nothing about a forgery."""
FAR = 12
"""Steps from which on a delay belongs to the null."""
MIN_LIPS = 3.5
"""Seconds of lips in all bursts together: of 2 s, one genuine stretch in five looked wrong."""
MIN_SPEECH = 2.0
"""Seconds of speech while lips were seen."""
MIN_MOUTH = 20.0
"""Pixels of the filmed picture from corner to corner."""
MAX_YAW = 30.0
"""Degrees to either side."""
MIN_NULLS = 25
"""Delays far from zero, a second of them, without which there is no null."""
_MIN_CONTRAST = 4.0
"""Standard deviation of a mouth's luma below which light or a hand hides it."""
_MIN_MOTION = 0.006
"""Standard deviation of the mouth's opening, in distances between the eyes, below which the lips
rest, whoever speaks."""
_MAX_UNHEARD = 0.2
"""Share of a burst's sound that may be missing."""
_SPOKEN = 0.4
"""Where between the quiet (10th percentile) and the loud (97th, as somebody may say little) of a
window speech begins, on a scale of dB."""
_LEAST_RANGE = 1.4
"""Nepers of power between them, 6 dB, without which nobody speaks: noise and music are steadier."""


@dataclass(frozen=True, slots=True)
class Separation:
    """How the claimed delay stands out from the null."""

    height: float
    """Best agreement near zero delay above the null's mean, in its standard deviations."""
    correlation: float
    """The agreement itself."""
    lag: float
    """Seconds by which the voice is late there."""
    chance: float
    """Share of equally wide stretches of the null that agree at least as well."""


def separation(curve: Floats) -> Separation | None:
    """Compare delays near zero with the others; None if there are too few others."""
    steps = len(curve)
    delay = (np.arange(steps) + steps // 2) % steps - steps // 2
    far = curve[np.abs(delay) >= FAR]
    if len(far) < MIN_NULLS:
        return None
    near = np.flatnonzero(np.abs(delay) <= NEAR)
    best = near[np.argmax(curve[near])]
    # In order of delay, so that a stretch of the null is as wide as the claim.
    ordered = curve[np.argsort(np.where(delay > 0, delay, delay + steps))]
    null = np.lib.stride_tricks.sliding_window_view(ordered[FAR - 1 : -FAR], 2 * NEAR + 1).max(1)
    return Separation(
        height=float((curve[best] - far.mean()) / (far.std() + 1e-6)),
        correlation=float(curve[best]),
        lag=float(delay[best] / HZ),
        chance=float((1 + (null >= curve[best]).sum()) / (1 + len(null))),
    )


class LipSync:
    """The cue, with the network of `models/lips`."""

    name = "sync"

    def __init__(self, model: Model | None = None) -> None:
        self.model = model.version if model is not None else "none"
        self._session = Session(model.path) if model is not None else None
        if self._session is not None:
            # The first run allocates; a call should not pay for it.
            rows, columns = (side // 2 for side in MOUTH_SHAPE)
            still = Burst(
                0, np.zeros((50, rows, columns), np.float32), np.zeros((50, 7), np.float32)
            )
            self.curve([still], np.zeros((200, SOUND_BANDS), np.float32))

    def measure(self, window: CueWindow) -> Reading:
        """Return how far lips and voice are from agreeing; higher = more likely fake.

        Nothing without the network: what openings alone tell counts on another scale.
        """
        if self._session is None:
            return Reading(None, AbstentionReason.NO_MODEL)
        found = self.compare(window)
        if isinstance(found, AbstentionReason):
            return Reading(None, found)
        if not math.isfinite(found.height):
            return Reading(None, AbstentionReason.FAULT)
        return Reading(
            -found.height,
            details={
                "correlation": found.correlation,
                "separation_sd": found.height,
                "lag_ms": 1000 * found.lag,
                "null_p": found.chance,
            },
        )

    def compare(self, window: CueWindow) -> Separation | AbstentionReason:
        """How the claimed delay stands out in a window, or why that cannot be said."""
        found = followed(window)
        if isinstance(found, AbstentionReason):
            return found
        apart = separation(self.curve([burst(window, rows) for rows in found], window.sound))
        return apart if apart is not None else AbstentionReason.TOO_SHORT

    def curve(self, lips: Sequence[Burst], sound: Floats) -> Floats:
        """Agreement at every circular delay of the window's sound, over all bursts together."""
        parts = self._by_network(lips, sound) if self._session else _by_opening(lips, sound)
        weights = [len(part.openings) for part in lips]
        return np.average(parts, axis=0, weights=weights).astype(np.float32)

    def _by_network(self, lips: Sequence[Burst], sound: Floats) -> list[Floats]:
        assert self._session is not None
        heard = standardised(sound[: len(sound) // STEPS * STEPS])[None]
        curves = []
        for part in lips:
            given = {"mouths": part.mouths[None], "openings": part.openings[None], "sound": heard}
            seen, voice = self._session.run({name: given[name] for name in self._session.inputs})
            curves.append(agreement(seen[0], voice[0], part.first))
        return curves


def _by_opening(lips: Sequence[Burst], sound: Floats) -> list[Floats]:
    level = loudness(sound)
    opened = [standardised(part.openings[:, [0, 3]].sum(axis=1, keepdims=True)) for part in lips]
    return [agreement(o, level, part.first) for o, part in zip(opened, lips, strict=True)]


def followed(window: CueWindow) -> list[slice] | AbstentionReason:
    """The bursts in which lips can be followed and somebody speaks, or why there are none."""
    if not len(window.times):
        return AbstentionReason.NO_FACE
    if np.isnan(window.sound).all():
        return AbstentionReason.SILENCE
    found = followable(window.times)
    if not found:
        return AbstentionReason.FEW_PICTURES
    for fits, reason in (
        (_heard, AbstentionReason.GAP),
        (_large, AbstentionReason.FACE_TOO_SMALL),
        (_frontal, AbstentionReason.FACE_TURNED),
        (_visible, AbstentionReason.OCCLUDED),
    ):
        found = [rows for rows in found if fits(window, rows)]
        if not found:
            return reason
    if sum(float(np.ptp(window.times[rows])) for rows in found) < MIN_LIPS:
        return AbstentionReason.TOO_SHORT
    seconds = spoken(window, found)
    if seconds < MIN_SPEECH:
        return AbstentionReason.TOO_LITTLE_SPEECH if seconds > 0 else AbstentionReason.SILENCE
    moved = [rows for rows in found if _moves(window, rows)]
    return moved or AbstentionReason.NO_CONTRAST


def spoken(window: CueWindow, found: Sequence[slice]) -> float:
    """Seconds of speech during bursts, by level: a lip cue needs syllables, not a verdict."""
    level = window.sound[:, SPEECH_BANDS].mean(axis=1)
    quiet, loud = np.nanpercentile(level, [10, 97])
    if loud - quiet < _LEAST_RANGE:
        return 0.0
    speech = level > quiet + _SPOKEN * (loud - quiet)
    return sum(float(speech[_frames(window, rows)].sum()) for rows in found) / SOUND_HZ


def _frames(window: CueWindow, rows: slice) -> slice:
    first, last = window.times[rows][[0, -1]] - window.span.start
    return slice(max(0, round(first * SOUND_HZ)), max(0, round(last * SOUND_HZ)))


def _heard(window: CueWindow, rows: slice) -> bool:
    frames = window.sound[_frames(window, rows), 0]
    return len(frames) > 0 and bool(np.isnan(frames).mean() <= _MAX_UNHEARD)


def _large(window: CueWindow, rows: slice) -> bool:
    points = window.points[rows]
    width = np.linalg.norm(points[:, 42] - points[:, 48], axis=1)
    return bool(np.median(width) >= MIN_MOUTH)


def _frontal(window: CueWindow, rows: slice) -> bool:
    return bool(np.median(np.abs(window.pose[rows, 0])) <= MAX_YAW)


def _visible(window: CueWindow, rows: slice) -> bool:
    return bool(np.median(window.mouths[rows].std(axis=(1, 2))) >= _MIN_CONTRAST)


def _moves(window: CueWindow, rows: slice) -> bool:
    return bool(openings(window.points[rows])[:, 0].std() >= _MIN_MOTION)
