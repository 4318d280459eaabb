"""Expression and landmark dynamics: whether the inside of a face moves with its outline.

A pasted face turns by itself. In coordinates along the eyes, the tip of the nose moves aside as
the head turns, and so does the middle of the mouth, two measurements inside the face; ears and
temples move the other way. The first part of the value is how much better the inside agrees with
itself than with the outline (after Yang et al. 2019, "Exposing deep fakes using inconsistent head
poses", with relative instead of estimated poses). Its second part is shaking: how fast the middle
of the inner face jumps against the outline, over how fast one half of the outline's points does
against the other half, which is what the search for landmarks does by itself. Both are given in
deviations of genuine clips above their median, and the larger counts.

Shaking needs pictures at twice its frequency: 15 a second show up to 7.5 Hz, 10 show 5 Hz.

The nulls: the mouth at other times must not follow the nose as well as it does now; and the
outline, its pictures in another order, must not be as smooth as it is.
"""

import numpy as np

from monitor.detectors.cue import (
    SEPARABLE,
    Floats,
    abstained,
    apart,
    bursts,
    chance,
    correlation,
    moving,
    rolled,
)
from monitor.types import AbstentionReason, CueWindow, Reading
from monitor.types.landmarks import INNER_LIPS, LEFT_EYE, NOSE, OVAL, RIGHT_EYE

FEWEST_HZ = 10.0
FEWEST_SECONDS = 4.0
EYES_PX = 40.0
MOST_YAW = 35.0
TURNS = 0.02
"""Least spread of the nose's place, in distances between the eyes: less is a head that is still."""
TURN_MEDIAN, TURN_SPREAD = 0.0, 0.2
SHAKE_MEDIAN, SHAKE_SPREAD = 2.1, 0.4
"""Median and spread of both parts on genuine clips, with the landmarks of `models/landmarks`."""
_TIP = 98


class Expression:
    """How inside and outline of the face move together."""

    name = "expression"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        """Return how far the inner face moves by itself, in deviations of genuine clips."""
        reason = moving(window, FEWEST_HZ, FEWEST_SECONDS, EYES_PX, MOST_YAW)
        if reason is not None:
            return abstained(reason)
        runs = [run for run in bursts(window.times) if run.stop - run.start >= 8]
        if not runs:
            return abstained(AbstentionReason.TOO_SHORT)
        nose, mouth, outline = _aside(window)
        details = {"turn_spread": float(nose.std())}
        parts = []
        if nose.std() >= TURNS:
            inside = correlation(nose, mouth)
            null = chance(inside, lambda rng: correlation(nose, rolled(mouth, rng)))
            around = correlation(nose, outline)
            details |= {
                "inside_correlation": inside,
                "outline_correlation": around,
                "turn_null_p_value": null,
            }
            if null <= SEPARABLE:
                # Ears move against the nose: their agreement is negative.
                parts.append((inside + around - TURN_MEDIAN) / TURN_SPREAD)
        inner, own = _inner(window), _uneven(window)
        noise = _jump(own, runs)
        sides = _sides(window)
        null = chance(-_jump(sides, runs), lambda rng: -_jump(rng.permutation(sides), runs))
        shake = float(np.log(max(_jump(inner, runs), 1e-5) / max(noise, 1e-5)))
        details |= {"shake_log_ratio": shake, "noise_eye_ratio": noise, "shake_null_p_value": null}
        if null <= SEPARABLE:
            parts.append((shake - SHAKE_MEDIAN) / SHAKE_SPREAD)
        if not parts:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        return Reading(max(parts), details=details)


def _aside(window: CueWindow) -> tuple[Floats, Floats, Floats]:
    """Places of nose, mouth and outline along the line of the eyes, from the middle of the eyes.

    In distances between the eyes, shape (pictures,) each.
    """
    points = window.points.astype(np.float64)
    right, left = points[:, RIGHT_EYE].mean(axis=1), points[:, LEFT_EYE].mean(axis=1)
    across = left - right
    along = across / np.maximum((across**2).sum(axis=1, keepdims=True), 1e-6)
    middle = (left + right) / 2

    def place(point: Floats) -> Floats:
        return np.asarray(((point - middle) * along).sum(axis=1))

    outline = points[:, OVAL]
    # Ears and temples only: the chin moves with the mouth.
    sides = (outline[:, 3:6].mean(axis=1) + outline[:, 13:16].mean(axis=1)) / 2
    return place(points[:, _TIP]), place(points[:, INNER_LIPS].mean(axis=1)), place(sides)


def _inner(window: CueWindow) -> Floats:
    """The middle of nose and eyes from that of the outline, in distances between the eyes."""
    points = window.points.astype(np.float64)
    inner = points[:, [*range(NOSE.start, NOSE.stop), 0, 8, 16, 24]].mean(axis=1)
    return np.asarray((inner - points[:, OVAL].mean(axis=1)) / apart(window.points)[:, None])


def _uneven(window: CueWindow) -> Floats:
    """The middle of every second point of the outline from that of the others, likewise."""
    outline = window.points[:, OVAL].astype(np.float64)
    between = outline[:, ::2].mean(axis=1) - outline[:, 1::2].mean(axis=1)
    return np.asarray(between / apart(window.points)[:, None])


def _sides(window: CueWindow) -> Floats:
    """The middle of the outline in the picture, in distances between the eyes."""
    middle = window.points[:, OVAL].astype(np.float64).mean(axis=1)
    return np.asarray(middle / float(np.median(apart(window.points))))


def _jump(places: Floats, runs: list[slice]) -> float:
    """Typical second difference of places (pictures, 2)."""
    steps = np.concatenate([np.diff(places[run], 2, axis=0) for run in runs])
    return float(np.sqrt(np.median((steps**2).sum(axis=1))))
