"""Counter-examples for the cues: one thing is broken, and nothing else."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from monitor.detectors.blink import Blink, lost
from monitor.detectors.cue import CROPPED_EYES_PX
from monitor.detectors.lighting import Lighting
from monitor.detectors.pulse import Pulse
from monitor.inference.catalogue import Model
from monitor.training.face.cues.counterexamples import (
    CASES,
    frozen_lids,
    late_voice,
    redrawn_hair,
    relit_rim,
    shaken_inside,
)
from monitor.training.face.cues.cue_evaluate import against_broken, said
from monitor.training.face.eyes.eyes import opened
from monitor.training.face.forgery.masks import typical_points
from monitor.types import EYE_SHAPE, MOUTH_SHAPE, SOUND_BANDS, AbstentionReason, CueWindow, Span
from monitor.types.landmarks import LEFT_EYE, OVAL, POINTS, RIGHT_EYE

SECONDS, FPS = 20.0, 15.0


def window(blinking: bool = True, scale: float = 1.0) -> CueWindow:
    """A still face that blinks every three seconds, with noise for sound and texture."""
    rng = np.random.default_rng(0)
    times = np.arange(0, SECONDS, 1 / FPS)
    points = np.tile(typical_points().astype(np.float32), (len(times), 1, 1))
    points += rng.normal(0, 0.05, points.shape).astype(np.float32)
    shut = blinking * (times % 3 < 0.25)
    for eye in (RIGHT_EYE, LEFT_EYE):
        ring = points[:, eye]
        middle = ring[:, [0, 8], 1].mean(axis=1)[:, None]
        ring[:, 1:8, 1] += (0.9 * shut)[:, None] * (middle - ring[:, 1:8, 1])
        ring[:, 9:, 1] += (0.9 * shut)[:, None] * (middle - ring[:, 9:, 1])
    eyes = np.full((len(times), 2, *EYE_SHAPE), 200, np.uint8)
    eyes[shut] = 40
    crops = rng.integers(60, 180, (10, 3, 224, 224)).astype(np.uint8)
    return CueWindow(
        participant="anna",
        span=Span(0, SECONDS),
        fresh=Span(0, SECONDS),
        times=times,
        points=points * np.float32(scale),
        pose=np.zeros((len(times), 3), np.float32),
        mouths=np.zeros((len(times), *MOUTH_SHAPE), np.uint8),
        eyes=eyes,
        skin=np.full((len(times), 3, 3), 150, np.float32),
        crop_times=np.arange(10.0),
        crops=crops,
        crop_points=np.tile(typical_points().astype(np.float32) - 32, (10, 1, 1)),
        crop_scale=np.ones(10, np.float32),
        sound=rng.normal(size=(2000, SOUND_BANDS)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def blink(tmp_path_factory: pytest.TempPathFactory) -> Blink:
    """The cue with a network for which an eye is open as far as its picture is light."""
    path = tmp_path_factory.mktemp("eyes") / "model.onnx"
    eyes = helper.make_tensor_value_info("eyes", TensorProto.FLOAT, ["batch", *EYE_SHAPE])
    opening = helper.make_tensor_value_info("opening", TensorProto.FLOAT, ["batch"])
    mean = helper.make_node("ReduceMean", ["eyes"], ["opening"], axes=[1, 2], keepdims=0)
    graph = helper.make_graph([mean], "eyes", [eyes], [opening])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)
    return Blink(Model("eyes", path, "0" * 64, "", path, None, None))


def test_frozen_lids_never_close_and_stay_where_the_eyes_are(blink: Blink) -> None:
    before, after = window(), frozen_lids(window())
    assert lost(opened(before.points)).max() > 0.5
    assert lost(opened(after.points)).max() < 0.1
    assert lost(blink.openings(before.eyes)).max() > 0.5
    assert lost(blink.openings(after.eyes)).max() < 0.1
    corners = [RIGHT_EYE.start, RIGHT_EYE.start + 8, LEFT_EYE.start, LEFT_EYE.start + 8]
    assert np.abs(after.points[:, corners] - before.points[:, corners]).max() < 0.5
    assert np.array_equal(after.points[:, LEFT_EYE.stop :], before.points[:, LEFT_EYE.stop :])


def test_a_face_that_blinks_is_nearer_to_people_than_one_that_does_not(blink: Blink) -> None:
    genuine, frozen = blink.measure(window()), blink.measure(frozen_lids(window()))
    assert genuine.details["blinks"] == 7
    assert frozen.details["blinks"] == 0
    assert genuine.value is not None
    assert frozen.value is not None
    assert frozen.value > genuine.value + 1
    assert Blink().measure(frozen_lids(window())).reason is AbstentionReason.NOT_MEASURABLE


def test_the_outline_of_a_shaken_face_is_still() -> None:
    before, after = window(), shaken_inside(window())
    assert np.array_equal(after.points[:, OVAL], before.points[:, OVAL])
    assert np.abs(after.points[:, 97] - before.points[:, 97]).max() > 1


def test_hair_is_turned_in_its_place_and_the_rest_kept() -> None:
    before, after = window(), redrawn_hair(window())
    changed = (before.crops != after.crops).any(axis=1)
    assert not changed[0].any()
    assert 0.01 < changed[1].mean() < 0.06


def test_a_cloud_that_the_core_does_not_share_is_seen() -> None:
    lit = CASES["lighting"][0]
    assert lit is not None
    genuine, broken = (Lighting().measure(make(window())) for make in (lit, relit_rim))
    assert genuine.value == pytest.approx(0, abs=0.1)
    assert broken.value is not None
    assert broken.value > 1


def test_a_voice_comes_late_and_nothing_of_it_is_lost() -> None:
    before, after = window(), late_voice(window())
    assert np.array_equal(after.sound[200:], before.sound[:-200])
    assert np.array_equal(np.sort(after.sound, axis=0), np.sort(before.sound, axis=0))


def test_a_beat_is_found_where_one_is_put() -> None:
    beating, bloodless = CASES["pulse"]
    assert beating is not None
    rng = np.random.default_rng(1)
    alive = window()
    noise = rng.normal(0, 0.1, alive.skin.shape).astype(np.float32)
    alive = replace(alive, skin=alive.skin + noise)
    assert Pulse().measure(beating(alive)).details["beats_per_minute"] == pytest.approx(72, abs=3)
    assert Pulse().measure(bloodless(alive)).reason is AbstentionReason.NO_CONTRAST


def test_outcomes_are_counted_with_their_reasons(blink: Blink) -> None:
    small = window(scale=0.5)
    few = replace(small, **{n: getattr(small, n)[:0] for n in small.__slots__ if "crop" in n})
    eyes = np.ptp(few.points[0, [4, 20], 0])
    assert eyes < CROPPED_EYES_PX
    assert said([Lighting(), blink], [window(), few]) == {
        "lighting": {"no_feature": 1, "face_too_small": 1},
        "blink": {"measured": 1, "face_too_small": 1},
    }


def test_a_cue_is_held_against_its_counterexample(blink: Blink) -> None:
    found = against_broken(blink, [window(), window()])
    assert found["genuine"] == found["broken"] == {"measured": 2}
    assert found["higher"] == found["auc"] == 1.0


def test_points_are_all_accounted_for() -> None:
    assert window().points.shape[1] == POINTS
    assert set(CASES) == {
        "blink", "expression", "facial_hair", "lighting", "pulse", "reflections", "sync",
    }  # fmt: skip
