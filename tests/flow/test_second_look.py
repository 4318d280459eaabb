"""A model with a second look, from its files to a call's scores."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from monitor.calls.admission import Level
from monitor.calls.call import Call
from monitor.delivery.fanout import Fanout
from monitor.detectors.second import VoiceSecondLook
from monitor.detectors.voice import VoiceDetector
from monitor.inference.catalogue import Catalogue, CatalogueError, sha256
from monitor.metrics.sink import Metrics
from monitor.types import AbstentionReason, AudioWindow, Fusion, LookRule, Score
from monitor.types.protocols import Intake
from tests.fakes import LevelDetector, MemorySink, ScriptedSource, noise, stages

SAID = {"first": "f" * 64, "narrow": "1 2 3", "wide": "0.5 0.25 0", "certain": "2.5", "every": "3"}
ENTRY = """
[[model]]
name = "voice"
file = "model.onnx"
sha256 = "{sha}"
license = "Apache-2.0"
card = "card.md"
[model.second]
file = "second.onnx"
"""


def write_mean(path: Path, said: dict[str, str]) -> Path:
    """A network that gives a waveform's mean, with what it says of its use."""
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["n", "samples"])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    node = helper.make_node("ReduceMean", ["waveform", "axes"], ["logit"], keepdims=0)
    graph = helper.make_graph([node], "mean", [waveform], [logit], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, said)
    onnx.save(model, path)
    return path


def test_a_file_says_how_it_is_used(tmp_path: Path) -> None:
    second = VoiceSecondLook(write_mean(tmp_path / "second.onnx", SAID), "f" * 64)
    assert second.rule == LookRule(Fusion(1, 2, 3), Fusion(0.5, 0.25, 0), 2.5, 3)


@pytest.mark.parametrize(
    "said",
    [
        {**SAID, "narrow": "1 2"},
        {**SAID, "wide": "1 2 x"},
        {name: value for name, value in SAID.items() if name != "every"},
    ],
)
def test_a_file_that_does_not_is_refused(tmp_path: Path, said: dict[str, str]) -> None:
    with pytest.raises(CatalogueError, match=r"second\.onnx.*narrow and wide"):
        VoiceSecondLook(write_mean(tmp_path / "second.onnx", said), "f" * 64)


def test_a_file_for_another_first_look_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"second\.onnx.*made for a first look"):
        VoiceSecondLook(write_mean(tmp_path / "second.onnx", SAID), "e" * 64)


def test_a_model_of_two_files_is_checked_and_named_by_both(tmp_path: Path) -> None:
    write_mean(tmp_path / "model.onnx", {})
    said = {**SAID, "first": sha256(tmp_path / "model.onnx")}
    write_mean(tmp_path / "second.onnx", said)
    (tmp_path / "card.md").write_text("card")
    entry = ENTRY.format(sha=sha256(tmp_path / "model.onnx"))
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(entry)
    with pytest.raises(CatalogueError, match="second has no sha256"):
        Catalogue(tmp_path).verified("voice")
    manifest.write_text(f'{entry}sha256 = "{sha256(tmp_path / "second.onnx")}"\n')
    model = Catalogue(tmp_path).verified("voice")
    assert model.version != model.sha256[:12]
    assert VoiceDetector(model).second is not None
    write_mean(tmp_path / "second.onnx", {**said, "every": "6"})
    with pytest.raises(CatalogueError, match=r"second\.onnx"):
        Catalogue(tmp_path).verified("voice")


class Twice(LevelDetector):
    """A first look of 1, and a second one of 5 at everything."""

    class _Second:
        rule = LookRule(Fusion(0, 1, 0), Fusion(0, 1, 0), certain=100.0, every=3.0)

        def logit(self, window: AudioWindow) -> float:
            return 5.0

    second = _Second()

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        return [1.0 for _ in windows]


async def test_a_call_rests_on_both_and_counts_them() -> None:
    sink, metrics, shared = MemorySink(), Metrics(), stages(Twice())
    source = ScriptedSource(noise(0, 20, 0.05))
    await Call("c", source, shared, Fanout([sink, metrics]), metrics, "remote").run()
    scores = [o for o in sink.outcomes if isinstance(o, Score)]
    assert scores
    assert {s.value for s in scores} == {5.0}
    assert metrics.registry.get_sample_value("monitor_voice_looks_total", {"looks": "2"}) == len(
        scores
    )
    shared.executor.close()


async def test_a_machine_that_is_full_takes_first_looks_only() -> None:
    class Waiting(ScriptedSource):
        """Live sound that comes once the call was told that the machine is full."""

        def __init__(self) -> None:
            super().__init__(noise(0, 20, 0.05), live=True)
            self.told = asyncio.Event()

        async def run(self, intake: Intake) -> str:
            intake.now()
            await self.told.wait()
            return await super().run(intake)

    sink, metrics, shared = MemorySink(), Metrics(), stages(Twice())
    source = Waiting()
    call = Call("c", source, shared, Fanout([sink, metrics]), metrics, "remote")
    running = asyncio.create_task(call.run())
    # The call's clock begins with its source.
    await asyncio.sleep(0)
    call.thin(Level(Level.FULL + 1))
    source.told.set()
    await running
    assert {s.value for s in sink.outcomes if isinstance(s, Score)} == {1.0}
    shared.executor.close()
