"""What the face's detector makes of crops and windows, with a network whose answer is known."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from monitor.detectors.face import (
    DARK,
    LEAST_BITS,
    LEAST_SHARPNESS,
    MAX_YAW,
    FaceDetector,
    trimmed_mean,
)
from monitor.inference.catalogue import Model
from monitor.types import AbstentionReason, FaceWindow, Span

QUALITY = {"found_share": 1.0, "yaw_degrees": 0.0}


def window(
    *logits: float,
    others: tuple[tuple[float, ...], ...] = (),
    frames: int = 15,
    shown: bool = True,
    **quality: float,
) -> FaceWindow:
    return FaceWindow(
        participant="anna",
        span=Span(0, 3),
        logits=np.array(logits, np.float32),
        others=tuple(np.array(o, np.float32) for o in others),
        shown=shown,
        frames=frames,
        quality=QUALITY | quality,
    )


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> FaceDetector:
    """The brighter a crop, the more it counts as forged; the heat-map is its red channel."""
    path = tmp_path_factory.mktemp("face") / "model.onnx"
    face = helper.make_tensor_value_info("face", TensorProto.FLOAT, ["batch", 3, 224, 224])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"])
    heat = helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["batch", 14, 14])
    nodes = [
        helper.make_node("ReduceMean", ["face", "axes"], ["logit"], keepdims=0),
        helper.make_node("Slice", ["face", "from", "to", "on"], ["red"]),
        helper.make_node(
            "AveragePool", ["red"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Squeeze", ["pooled", "on"], ["heatmap"]),
    ]
    constants = {"axes": [1, 2, 3], "from": [0], "to": [1], "on": [1]}
    initial = [helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "face", [face], [logit, heat], initial)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, str(path))
    return FaceDetector(Model("face", path, "f" * 64, "Apache-2.0", path, None, None))


def test_crops_are_judged_each_on_its_own(detector: FaceDetector) -> None:
    crops = np.zeros((2, 3, 224, 224), np.uint8)
    crops[1] = 255
    dark, bright = detector.look(crops)
    assert dark.logit == pytest.approx(0)
    assert bright.logit == pytest.approx(1)
    assert bright.heatmap.shape == (14, 14)
    assert bright.heatmap.max() == pytest.approx(1)


def test_no_crops_no_looks(detector: FaceDetector) -> None:
    assert detector.look(np.zeros((0, 3, 224, 224), np.uint8)) == []
    assert FaceDetector().look(np.zeros((1, 3, 224, 224), np.uint8)) == []


def test_a_window_is_judged_by_the_followed_face_and_tells_of_others(
    detector: FaceDetector,
) -> None:
    reading = detector.judge(window(1, 1, 1, 1, 90, others=((3, 3), (-2,))))
    assert reading.value == pytest.approx(1)
    assert reading.details == {"crops": 5, "logit_face_2": 3, "logit_face_3": -2}


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (window(frames=0), AbstentionReason.GAP),
        (window(found_share=0.0), AbstentionReason.NO_FACE),
        (window(shown=False), AbstentionReason.FACE_TOO_SMALL),
        (window(1, yaw_degrees=-MAX_YAW - 1), AbstentionReason.FACE_TURNED),
        (window(1, sharpness=LEAST_SHARPNESS - 1), AbstentionReason.BLURRED),
        (window(1, bits_per_pixel=LEAST_BITS / 2), AbstentionReason.BLURRED),
        (window(1, brightness=DARK / 2), AbstentionReason.OCCLUDED),
        (window(1, brightness=0.99), AbstentionReason.OCCLUDED),
        (window(), AbstentionReason.TOO_SHORT),
        (window(float("nan")), AbstentionReason.FAULT),
    ],
)
def test_every_abstention_has_its_reason(
    detector: FaceDetector, seen: FaceWindow, reason: AbstentionReason
) -> None:
    reading = detector.judge(seen)
    assert (reading.value, reading.reason) == (None, reason)


def test_what_was_not_measured_hides_nothing(detector: FaceDetector) -> None:
    assert detector.judge(window(1, bits_per_pixel=float("nan"))).value == pytest.approx(1)
    assert detector.judge(window(1, sharpness=LEAST_SHARPNESS, brightness=0.5)).value is not None


def test_without_a_model_only_the_face_is_looked_for() -> None:
    detector = FaceDetector()
    assert detector.model == "none"
    assert detector.judge(window(1)).reason is AbstentionReason.NO_MODEL
    assert detector.judge(window(found_share=0.0)).reason is AbstentionReason.NO_FACE


def test_one_odd_crop_does_not_speak_for_the_rest() -> None:
    assert trimmed_mean(np.array([0, 0, 0, 0, 50], np.float32)) == 0
    assert np.isnan(trimmed_mean(np.zeros(0, np.float32)))
