"""Blinking: how often, how long, how far, and whether both eyes do it together.

The opening of an eye is the mean distance of its lids, as in Soukupová and Čech 2016, "Real-time
eye blink detection using facial landmarks"; but a network (`models/eyes`) reads it from the eye's
own picture, as lids are where landmarks are least exact. The value adds two surprises in natural
log, each 1 on average for a genuine face: at so few blinks, and at lids that move apart from one
another while they blink; without a blink the second counts as on average. Genuine faces blink 17
times a minute, with a spread from person to person that a negative binomial with shape 2.5
describes. Few blinks are a weak hint: people who read blink rarely, and a swap that a person drives
blinks with him.

Bursts leave a third of a window, so the textbook's 45 s of pictures are out of reach: 15 s of them
are asked for before blinks are counted, and the surprise grows with the time itself. Lids are
compared with each other from the first blink on. 10 pictures a second catch a blink of a fifth of
a second in two of them; shorter blinks are missed, so rates are lower bounds.

The null: the left eye of another time. Where nobody blinks there is no event to break; then lids
must lie still enough that a blink would stand out, or the cue abstains as blurred.
"""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import (
    SEPARABLE,
    Floats,
    abstained,
    bursts,
    chance,
    correlation,
    luma,
    moving,
    rolled,
    usable_seconds,
)
from monitor.inference.catalogue import Model
from monitor.inference.onnx import Session
from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import LEFT_EYE

FEWEST_HZ = 10.0
FEWEST_SECONDS = 4.0
COUNTED_SECONDS = 15.0
"""From here on few blinks are a surprise."""
EYES_PX = 42.0
"""Pixels between the eyes: an eye is then 18 wide."""
MOST_YAW = 25.0
"""Degrees; beyond, the far eye's lids are half hidden."""
CLOSED, PARTLY = 0.45, 0.25
"""Shares of the opening that is lost in a blink, and in one that stays half open."""
LONGEST = 0.6
"""Seconds; longer is closed eyes, not a blink."""
STEADY = 0.1
"""Largest typical step of an eye's opening from picture to picture, as a share of it."""
APART_MEAN = 0.12
"""One minus the correlation of both eyes' lids around blinks: its mean on genuine clips."""
_AROUND = 0.3
"""Seconds before and after a blink that belong to it."""
_PER_MINUTE, _SHAPE = 17.0, 2.5
_BATCH = 32
"""Eyes judged in one run: what a run needs stays allocated, and a window shows 600."""
_GLARE, _MOST_GLARE = 245.0, 0.1
"""Luma of a reflection in glasses, and the share of an eye it may cover."""


class Blink:
    """How the eyes blink."""

    name = "blink"

    def __init__(self, model: Model | None = None) -> None:
        """Without a model nothing is measured."""
        self.model = model.version if model is not None else "none"
        self._eyes = Session(model.path) if model is not None else None

    def openings(self, eyes: NDArray[np.uint8]) -> Floats:
        """How far eyes (pictures, 2, *EYE_SHAPE) are open, shape (pictures, 2), in distances
        between the eyes; needs the model."""
        assert self._eyes is not None
        shown = eyes.reshape(-1, *eyes.shape[2:])
        found = np.empty(len(shown))
        for first in range(0, len(shown), _BATCH):
            batch = shown[first : first + _BATCH].astype(np.float32)
            (found[first : first + _BATCH],) = self._eyes.run({self._eyes.inputs[0]: batch})
        return found.reshape(-1, 2)

    def measure(self, window: CueWindow) -> Reading:
        """Return the surprise at so few blinks and at eyes that blink apart."""
        if self._eyes is None:
            return abstained(AbstentionReason.NOT_MEASURABLE)
        reason = moving(window, FEWEST_HZ, FEWEST_SECONDS, EYES_PX, MOST_YAW)
        if reason is not None:
            return abstained(reason)
        if _glare(window) > _MOST_GLARE:
            return abstained(AbstentionReason.OCCLUDED, glare_share=_glare(window))
        right, left = lost(self.openings(window.eyes)).T
        noise = max(float(np.median(np.abs(np.diff(x)))) for x in (right, left))
        if noise > STEADY:
            return abstained(AbstentionReason.BLURRED, opening_step_ratio=noise)
        both = (right + left) / 2
        blinks = [b for run in bursts(window.times) for b in blinks_in(window.times, both, run)]
        seconds = usable_seconds(window.times)
        details = {
            "usable_seconds": seconds,
            "blinks": float(len(blinks)),
            "opening_step_ratio": noise,
        }
        if not blinks and seconds < COUNTED_SECONDS:
            return abstained(AbstentionReason.TOO_SHORT, **details)
        apart = 1.0
        if blinks:
            together = correlation(right, left)
            null = chance(together, lambda rng: correlation(right, rolled(left, rng)))
            details["null_p_value"] = null
            if null > SEPARABLE:
                return abstained(AbstentionReason.NO_CONTRAST, **details)
            near = np.zeros(len(both), bool)
            for start, end, _ in blinks:
                near |= (window.times >= start - _AROUND) & (window.times <= end + _AROUND)
            unison = correlation(right[near], left[near])
            apart = (1 - unison) / APART_MEAN
            details |= {
                "unison_correlation": unison,
                "left_right_lag_ms": _lag(window.times[near], right[near], left[near]),
                "median_blink_seconds": float(np.median([end - start for start, end, _ in blinks])),
                "partial_share": float(np.mean([depth < CLOSED for _, _, depth in blinks])),
            }
        few = 0.0
        if seconds >= COUNTED_SECONDS:
            details["blinks_per_minute"] = 60 * len(blinks) / seconds
            few = surprise(len(blinks), seconds)
        return Reading(few + apart, details=details)


def surprise(blinks: int, seconds: float) -> float:
    """Minus the log probability of at most so many blinks of a genuine face."""
    mean = _PER_MINUTE * seconds / 60
    share = _SHAPE / (_SHAPE + mean)
    term = total = share**_SHAPE
    for n in range(1, blinks + 1):
        term *= (_SHAPE + n - 1) / n * (1 - share)
        total += term
    return max(0.0, -math.log(min(total, 1.0)))


def lost(openings: Floats) -> Floats:
    """The share of each eye's usual opening that is lost in each picture; (pictures, 2) both."""
    usual = np.maximum(np.percentile(openings, 80, axis=0), 1e-3)
    return np.asarray(1 - openings / usual)


def blinks_in(times: Floats, closing: Floats, run: slice) -> list[tuple[float, float, float]]:
    """Start, end (seconds) and greatest share lost of each blink in one burst."""
    found = []
    shut = closing[run] > PARTLY
    edges = run.start + np.flatnonzero(np.diff(np.r_[False, shut, False].astype(int)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        # Lids cross the threshold between two pictures.
        begins = (times[max(start - 1, run.start)] + times[start]) / 2
        ends = (times[end - 1] + times[min(end, run.stop - 1)]) / 2
        if ends - begins <= LONGEST:
            found.append((float(begins), float(ends), float(closing[start:end].max())))
    return found


def _lag(times: Floats, right: Floats, left: Floats) -> float:
    """Milliseconds by which the left eye follows the right one, within 0.3 s."""
    lags = np.arange(-0.3, 0.31, 0.02)
    agreed = [correlation(right, np.interp(times + lag, times, left)) for lag in lags]
    return float(1000 * lags[int(np.argmax(agreed))])


def _glare(window: CueWindow) -> float:
    """Share of the eyes that a reflection hides in the typical crop; 0 without crops."""
    shares = []
    for crop, points in zip(window.crops, window.crop_points, strict=True):
        eyes = points[: LEFT_EYE.stop].reshape(2, 16, 2)
        if not np.isfinite(eyes).all():
            continue
        for low, high in zip(eyes.min(axis=1), eyes.max(axis=1), strict=True):
            (x0, y0), (x1, y1) = (
                np.clip(np.rint(v), 0, crop.shape[1]).astype(int) for v in (low, high)
            )
            if x1 > x0 and y1 > y0:
                shares.append(float((luma(crop[:, y0:y1, x0:x1]) > _GLARE).mean()))
    return float(np.median(shares)) if shares else 0.0
