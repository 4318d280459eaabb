"""A window is scored as the service would: by one look, or by two where the file says so."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from monitor.inference.catalogue import sha256
from monitor.training.measure.scoring import WindowScorer
from monitor.types import SAMPLE_RATE, Waveform

SAID = {"narrow": "1 2 3", "wide": "1 0.5 0", "certain": "2.5", "every": "3"}


def write_constant(path: Path, logit: float, said: dict[str, str] | None = None) -> Path:
    """A network that says the same of everything: the mean times 0, plus `logit`."""
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["n", "samples"])
    out = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("none", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("value", TensorProto.FLOAT, [], [logit]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["waveform", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "value"], ["logit"]),
    ]
    graph = helper.make_graph(nodes, "constant", [waveform], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, said or {})
    onnx.save(model, path)
    return path


def tones(*hertz: float) -> Waveform:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    return np.asarray(sum(np.sin(2 * np.pi * f * time) for f in hertz) / 10, np.float32)


NARROW, WIDE = tones(500), tones(500, 6500)


def test_a_model_alone_has_one_look(tmp_path: Path) -> None:
    scorer = WindowScorer(write_constant(tmp_path / "model.onnx", 1.25))
    assert scorer.logit(NARROW, 3.0) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("first", "samples", "expected"),
    [
        (1.0, NARROW, 1.0 + 2 * 10 + 3),
        (4.0, NARROW, 4.0 + 2 * 10 + 3),
        (1.0, WIDE, 1.0 + 0.5 * 10),
        (4.0, WIDE, 4.0),
    ],
)
def test_a_second_look_is_taken_where_its_file_says(
    tmp_path: Path, first: float, samples: Waveform, expected: float
) -> None:
    model = write_constant(tmp_path / "model.onnx", first)
    write_constant(tmp_path / "second.onnx", 10.0, {**SAID, "first": sha256(model)})
    assert WindowScorer(model).logit(samples, 3.0) == pytest.approx(expected)
