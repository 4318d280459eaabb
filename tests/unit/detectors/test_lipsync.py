"""Lips and voice of a made-up speaker: syllables open the mouth and make sound at once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detectors.lipsync import LipSync, Separation, separation
from monitor.detectors.mouth import followable, standardised, steady
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.types import (
    EYE_SHAPE,
    MOUTH_SHAPE,
    SOUND_BANDS,
    SOUND_HZ,
    AbstentionReason,
    CueWindow,
    Reading,
    Span,
)

SECONDS = 30.0
EYE = 60.0
"""Pixels between the eyes."""


def _syllables(seed: int = 0) -> NDArray[np.float64]:
    """How open a mouth is, 0 to 1, a thousand times a second; phrases and pauses."""
    rng = np.random.default_rng(seed)
    count = round(SECONDS * 1000)
    opened, at = np.zeros(count + 1000), 0.0
    while at < SECONDS:
        length = rng.uniform(0.12, 0.3)
        first, size = round(at * 1000), round(length * 1000)
        opened[first : first + size] = rng.uniform(0.4, 1) * np.hanning(size)
        at += length + (rng.uniform(0.3, 0.9) if rng.random() < 0.25 else 0.02)
    return opened[:count]


def _window(
    opened: NDArray[np.float64] | None = None,
    late: float = 0.0,
    fps: float = 15.0,
    noise: float = 0.01,
    scale: float = 1.0,
) -> CueWindow:
    """Sound `late` seconds behind lips that move as `opened` says, by default as the sound."""
    spoken = _syllables()
    lips = spoken if opened is None else opened
    rng = np.random.default_rng(1)
    times = 100 + np.arange(0, SECONDS - 0.1, 1 / fps)
    seen = lips[((times - 100) * 1000).astype(int)]
    points = np.zeros((len(times), 104, 2))
    points[:, 0:16] = [-EYE / 2, 0]
    points[:, 16:32] = [EYE / 2, 0]
    points[:, [42, 54]] = [-25, 70]
    points[:, [48, 60]] = [25, 70]
    opening = 20 * seen + rng.normal(0, noise * EYE, len(times))
    for lower, upper in ((57, 63), (56, 64), (58, 62), (45, 51), (75, 99)):
        points[:, upper, 1] = 70
        points[:, lower, 1] = 70 + opening
    mouths = np.full((len(times), *MOUTH_SHAPE), 120.0)
    mouths[:, ::2] = 140
    mouths[:, 12:20, 16:32] -= 80 * seen[:, None, None]
    frames = np.arange(round(SECONDS * SOUND_HZ)) / SOUND_HZ
    level = np.roll(spoken, round(late * 1000))[(frames * 1000).astype(int)]
    sound = 5 * level[:, None] - 12 + rng.normal(0, 0.3, (len(frames), SOUND_BANDS))
    return CueWindow(
        participant="caller",
        span=Span(100, 100 + SECONDS),
        fresh=Span(100, 100 + SECONDS),
        times=times,
        points=(points * scale).astype(np.float32),
        pose=np.zeros((len(times), 3), np.float32),
        mouths=mouths.astype(np.uint8),
        eyes=np.zeros((len(times), 2, *EYE_SHAPE), np.uint8),
        skin=np.zeros((len(times), 3, 3), np.float32),
        crop_times=np.zeros(0),
        crops=np.zeros((0, 3, 224, 224), np.uint8),
        crop_points=np.zeros((0, 104, 2), np.float32),
        crop_scale=np.zeros(0, np.float32),
        sound=sound.astype(np.float32),
    )


def _measured(window: CueWindow) -> Separation:
    found = LipSync().compare(window)
    assert isinstance(found, Separation), found
    return found


def test_lips_that_move_with_the_voice_stand_out_from_the_null() -> None:
    found = _measured(_window())
    assert found.height > 5
    assert found.chance < 0.01
    assert found.correlation > 0.5
    assert abs(found.lag) <= 0.08


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
def test_another_voice_does_not(fps: float) -> None:
    own, other = _measured(_window(fps=fps)), _measured(_window(_syllables(seed=7), fps=fps))
    assert own.height > other.height + 3


def test_a_constant_delay_is_shown_and_not_held_against_anybody() -> None:
    prompt, late = _measured(_window()), _measured(_window(late=0.2))
    assert late.lag == pytest.approx(0.2, abs=0.08)
    assert late.height == pytest.approx(prompt.height, abs=2)


def test_a_voice_a_second_late_is_not_in_step() -> None:
    assert _measured(_window(late=1.0)).height < 3.5


def test_bursts_with_holes_are_measured_together() -> None:
    whole = _window()
    into = (whole.times - 100) % 15
    rows = into < 10
    found = _measured(
        replace(
            whole,
            times=whole.times[rows],
            points=whole.points[rows],
            pose=whole.pose[rows],
            mouths=whole.mouths[rows],
            skin=whole.skin[rows],
        )
    )
    assert found.height > 5


def _unspoken(window: CueWindow) -> CueWindow:
    noise = np.random.default_rng(3).normal(-12, 0.3, window.sound.shape)
    return replace(window, sound=noise.astype(np.float32))


def _hushed(window: CueWindow) -> CueWindow:
    sound = window.sound.copy()
    sound[300:] = np.minimum(sound[300:], -11.5)
    return replace(window, sound=sound)


def _without_pictures(window: CueWindow) -> CueWindow:
    return replace(window, times=window.times[:0])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_without_pictures, AbstentionReason.NO_FACE),
        (lambda w: replace(w, sound=w.sound[:0]), AbstentionReason.SILENCE),
        (lambda w: replace(w, sound=np.full_like(w.sound, np.nan)), AbstentionReason.SILENCE),
        (_unspoken, AbstentionReason.SILENCE),
        (_hushed, AbstentionReason.TOO_LITTLE_SPEECH),
        (lambda w: replace(w, pose=w.pose + [40, 0, 0]), AbstentionReason.FACE_TURNED),
        (lambda w: replace(w, mouths=np.full_like(w.mouths, 30)), AbstentionReason.OCCLUDED),
    ],
)
def test_what_cannot_be_measured_says_why(spoil, reason: AbstentionReason) -> None:  # type: ignore[no-untyped-def]
    assert LipSync().compare(spoil(_window())) is reason


def test_small_mouths_few_pictures_and_still_lips_are_not_measured() -> None:
    cue = LipSync()
    assert cue.compare(_window(scale=0.3)) is AbstentionReason.FACE_TOO_SMALL
    assert cue.compare(_window(fps=5)) is AbstentionReason.FEW_PICTURES
    still = _window(np.zeros(round(SECONDS * 1000)), noise=0.001)
    assert cue.compare(still) is AbstentionReason.NO_CONTRAST


def test_sound_that_mostly_never_came_is_a_gap() -> None:
    window = _window()
    sound = window.sound.copy()
    sound[: len(sound) // 2] = np.nan
    assert LipSync().compare(replace(window, sound=sound)) is AbstentionReason.GAP


def test_a_short_window_has_no_null() -> None:
    curve = np.random.default_rng(0).normal(size=40).astype(np.float32)
    assert separation(curve) is None


def test_holes_end_a_burst_and_slow_or_short_ones_do_not_count() -> None:
    times = np.concatenate(
        [np.arange(0, 3, 0.1), np.arange(5, 6, 0.1), np.arange(8, 12, 0.2), np.arange(20, 24, 0.1)]
    )
    assert followable(times) == [slice(0, 30), slice(60, 100)]


def test_values_between_pictures_lie_on_a_line() -> None:
    found = steady(
        np.array([0.0, 1.0, 3.0]), np.array([[0], [1], [5]], np.float32), np.array([0.5, 2])
    )
    assert found.ravel().tolist() == [0.5, 3.0]


def test_what_was_not_heard_counts_as_the_mean() -> None:
    found = standardised(np.array([[1.0], [np.nan], [3.0]], np.float32))
    assert found.ravel() == pytest.approx([-1, 0, 1], abs=1e-2)


def test_without_a_model_nothing_counts() -> None:
    assert LipSync().measure(_window()) == Reading(None, AbstentionReason.NO_MODEL)


def test_the_shipped_model_reads_a_window() -> None:
    cue = LipSync(Catalogue(default_folder()).verified("lips"))
    reading = cue.measure(_window())
    assert reading.value is not None
    assert reading.value == -reading.details["separation_sd"]
    assert set(reading.details) == {"correlation", "separation_sd", "lag_ms", "null_p"}
    assert cue.measure(_window(fps=5)) == Reading(None, AbstentionReason.FEW_PICTURES)
