"""Small real models folders: an ONNX file that calls loud speech fake, a policy, a manifest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from monitor.decision.certificate import POOLED, Tier
from monitor.decision.policy import dumps
from monitor.inference.catalogue import VERSION_DIGITS, sha256
from tests.fakes import POLICY

CERTIFIED = (
    Tier("review", 0.6, {POOLED: 2.0}, "conformal", 400, hours=32.0, alarms=5),
    Tier("alert", 0.12, {POOLED: 4.0}, "conformal", 400, hours=32.0, alarms=0),
)
UNCERTIFIED = (CERTIFIED[0], replace(CERTIFIED[1], hours=8.0))
_ENTRY = """
[[model]]
name = "voice"
file = "voice/model.onnx"
sha256 = "{model}"
license = "Apache-2.0"
card = "voice/card.md"
decision = {{ file = "decision/voice.json", sha256 = "{decision}" }}
"""


def write_models(
    folder: Path, tiers: Sequence[Tier] = CERTIFIED, gain: float = 100.0, offset: float = 15.0
) -> Path:
    """Write a folder whose model's logit is `gain` times the mean magnitude, less `offset`."""
    (folder / "voice").mkdir(parents=True)
    (folder / "decision").mkdir()
    model = folder / "voice" / "model.onnx"
    _write_onnx(model, gain, offset)
    (folder / "voice" / "card.md").write_text("made for tests")
    decision = folder / "decision" / "voice.json"
    used = POLICY.certificate
    text = dumps(
        POLICY.calibration,
        POLICY.scan,
        POLICY.statistic,
        tiers,
        used.maxima,
        POLICY.reference,
        model=sha256(model)[:VERSION_DIGITS],
        date=used.date,
        source=used.source,
    )
    decision.write_text(text)
    entry = _ENTRY.format(model=sha256(model), decision=sha256(decision))
    (folder / "manifest.toml").write_text(entry)
    return folder


def _write_onnx(path: Path, gain: float, offset: float) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["waveform"], ["magnitude"]),
            helper.make_node("ReduceMean", ["magnitude"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
            helper.make_node("Sub", ["scaled", "offset"], ["logit"]),
        ],
        "loudness",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"])],
        [
            helper.make_tensor("gain", TensorProto.FLOAT, [], [gain]),
            helper.make_tensor("offset", TensorProto.FLOAT, [], [offset]),
        ],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="tests"
    )
    made.ir_version = 8
    onnx.save(made, str(path))
