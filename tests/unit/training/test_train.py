"""A toy run end to end: it learns, resumes, exports, and the file agrees with the network."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from monitor.inference.catalogue import sha256
from monitor.inference.onnx import Session
from monitor.training.__main__ import main
from monitor.training.channels.channel import ChannelOdds
from monitor.training.data.clips import Split
from monitor.training.data.copysynthesis import phase_noise
from monitor.training.data.library import Library, build_library
from monitor.training.data.prepare import Item
from monitor.training.data.store import AudioStore, from_pcm, to_pcm, write
from monitor.training.measure.ablation import left_out
from monitor.training.measure.metrics import area_under_curve
from monitor.training.voice.average import averaged
from monitor.training.voice.batches import BatchMaker, BatchPlan
from monitor.training.voice.export import export_network, largest_difference
from monitor.training.voice.lcnn import LightNetwork
from monitor.training.voice.network import VoiceNetwork
from monitor.training.voice.objective import ObjectiveWeights
from monitor.training.voice.optimisers import OPTIMISERS
from monitor.training.voice.reload import reload_network
from monitor.training.voice.train import (
    BEST,
    CHECKPOINT,
    HISTORY,
    Trainer,
    TrainingPlan,
    load_network,
)
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice

BATCH = BatchPlan(groups=4, seconds=(1.0, 1.2))
STEPS = 40


def _items(split: Split, count: int, seed: int) -> Iterator[Item]:
    """Half human: a wandering pitch. Half fake: a steady one, from two "machines"."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        fake = i % 2 == 1
        row = {
            "path": f"{split}{i}",
            "fake": fake,
            "generator": f"machine {i % 4}" if fake else "human",
            "family": "steady" if fake else "human",
            "speaker": f"s{i % 6}",
            "source": f"page {i % 3}",
            "split": split,
            "active": "1" * 62,
        }
        yield row, to_pcm(voice(rng, 2.0, 0.0 if fake else 0.15))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[AudioStore]:
    folder = tmp_path_factory.mktemp("stores")
    speech = write(folder, "speech", _items(Split.TRAIN, 60, 1))

    def copies() -> Iterator[Item]:
        for index, row in enumerate(speech.rows):
            if not row["fake"]:
                made = phase_noise(from_pcm(speech.pcm(index)), np.random.default_rng(index))
                about = {"parent": index, "generator": "copy:x", "family": "x", "active": "1" * 62}
                yield about, to_pcm(made)

    return [speech, write(folder, "copies", copies())]


@pytest.fixture(scope="module")
def library(stores: list[AudioStore]) -> Library:
    return build_library(stores[0], stores[1:])


@pytest.fixture(scope="module")
def run(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy run that was stopped once and resumed."""
    folder = tmp_path_factory.mktemp("run")
    for steps in (STEPS // 2, STEPS):
        plan = TrainingPlan(steps=steps, threads=1, workers=0, rate=2e-3)
        progress = Trainer(library, folder, plan, BATCH).run(_judge)
        assert progress.step == steps
    return folder


def _judge(network: torch.nn.Module) -> dict[str, float]:
    return {"objective": 1 - _area(network)}


def _area(network: torch.nn.Module) -> float:
    scores: dict[bool, list[float]] = {False: [], True: []}
    for row, pcm in _items(Split.TEST, 40, 99):
        with torch.no_grad():
            logit = network(torch.from_numpy(from_pcm(pcm))[None])
        scores[row["fake"]].append(float(logit[0]))
    return area_under_curve(scores[False], scores[True])


def test_batches_are_groups_and_repeat(library: Library) -> None:
    one, again, other = (
        BatchMaker(library, BATCH, seed).batch(number) for seed, number in ((1, 5), (1, 5), (1, 6))
    )
    assert one.fake.tolist() == [0, 0, 1, 1] * BATCH.groups
    assert (one.family[one.fake == 0] == 0).all()
    assert (one.family[one.fake == 1] != 0).all()
    torch.testing.assert_close(one.waveform, again.waveform, rtol=0, atol=0)
    assert one.waveform.shape != other.waveform.shape or not torch.equal(
        one.waveform, other.waveform
    )


def test_copies_are_aligned_with_their_originals(library: Library) -> None:
    quiet = ChannelOdds(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    plan = BatchPlan(groups=3, seconds=(1, 1), from_source=0, from_copies=1, odds=quiet)
    waveform = BatchMaker(library, plan, 3).batch(0).waveform.numpy().reshape(3, 2, 2, -1)
    for group in waveform:
        for human, fake in zip(group[0], group[1], strict=True):
            envelopes = [np.abs(x).reshape(-1, 400).mean(1) for x in (human, fake)]
            assert np.corrcoef(*envelopes)[0, 1] > 0.8


def test_it_learns(run: Path) -> None:
    assert _area(load_network(run / BEST)) > 0.75


def test_what_a_run_leaves(run: Path) -> None:
    assert (run / CHECKPOINT).exists()
    lines = [json.loads(line) for line in (run / HISTORY).read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS // 2, STEPS]


def test_training_goes_on_from_a_file(run: Path, library: Library, tmp_path: Path) -> None:
    network, path = load_network(run / BEST), tmp_path / "model.onnx"
    export_network(network, path)
    # A run of no time: what is judged and kept is the file.
    plan = TrainingPlan(steps=1, minutes=-1, threads=1, workers=0)
    Trainer(library, tmp_path / "again", plan, BATCH, start=path).run(_judge)
    again = load_network(tmp_path / "again" / BEST)
    assert largest_difference(again, path) < 1e-4
    # In training mode batch statistics are used, of few windows here: they may move all logits by
    # as much, and must leave their order as it was unfolded.
    waveform = BatchMaker(library, BATCH, plan.seed).batch(0).waveform
    again.drop.p = 0.0
    with torch.no_grad():
        settled, moving = again.eval()(waveform), again.train()(waveform)
    assert np.corrcoef(settled.numpy(), moving.numpy())[0, 1] > 0.8


def test_exported_files_are_averaged_in_the_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    files = {"a": load_network(run / BEST), "b": load_network(run / BEST)}
    with torch.no_grad():
        for weight in files["b"].parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    for name, network in files.items():
        export_network(network, tmp_path / f"{name}.onnx")
    starts = [str(tmp_path / f"{name}.onnx") for name in files]
    out = str(tmp_path / "mean.onnx")
    monkeypatch.setattr(sys, "argv", ["", "voice-export", "--model", out, "--start", *starts])
    main()
    first, other, mean = (_weights(tmp_path / f"{name}.onnx") for name in ("a", "b", "mean"))
    assert mean.keys() == first.keys()
    for name, value in mean.items():
        np.testing.assert_allclose(value, (first[name] + other[name]) / 2, atol=1e-6)


def _weights(path: Path) -> dict[str, np.ndarray]:
    found = {it.name: onnx.numpy_helper.to_array(it) for it in onnx.load(path).graph.initializer}
    return {name: it for name, it in found.items() if it.dtype == np.float32}


def test_other_files_are_no_start(tmp_path: Path) -> None:
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"a\.onnx: no voice network"):
        reload_network(tmp_path / "a.onnx", 2, [])


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_learns(library: Library, tmp_path: Path, optimiser: str) -> None:
    plan = TrainingPlan(steps=15, threads=1, workers=0, rate=2e-3, optimiser=optimiser)
    weights = ObjectiveWeights(one_class=0.5, contrast=0.5, frames=0.3)
    trainer = Trainer(library, tmp_path, plan, BATCH, weights)
    losses = [trainer.run().history for trainer._plan in (replace(plan, steps=3), plan)]
    assert losses[1] < losses[0]


def test_the_light_network_trains_and_scores(library: Library, tmp_path: Path) -> None:
    plan = TrainingPlan(steps=3, threads=1, workers=0)
    trainer = Trainer(library, tmp_path, plan, BATCH, network=LightNetwork)
    assert trainer.run().step == 3
    assert 0 <= _area(trainer.averaged) <= 1


def test_unpaired_windows_share_no_channel(library: Library) -> None:
    plan = replace(BATCH, paired=False, odds=ChannelOdds(*[0.0] * 13))
    one, again = (BatchMaker(library, plan, 1).batch(2).waveform for _ in range(2))
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    # Without any impairment what a channel leaves is its level.
    level = one.square().mean(1).sqrt().view(BATCH.groups, -1)
    assert (level.std(1) > 0.05 * level.mean(1)).all()


def test_what_is_left_out_is_gone(library: Library) -> None:
    assert set(left_out(library, "without family x").copies) == set()
    less = left_out(library, "without source page 1")
    assert set(less.origins) == {"page 0", "page 2"}
    assert len(less.copies["copy:x"]) < len(library.copies["copy:x"])
    assert left_out(library, "base").paired() == library.paired()
    with pytest.raises(ValueError, match="no family 'y'"):
        left_out(library, "without family y")


def test_file_agrees_with_the_network(run: Path, tmp_path: Path) -> None:
    network = load_network(run / BEST)
    path = tmp_path / "model.onnx"
    assert export_network(network, path) < 1e-4
    assert largest_difference(network, path, (1, 3, 10)) < 1e-4
    assert len(sha256(path)) == 64
    session = Session(path)
    assert session.inputs == ("waveform",)
    assert session.outputs[0] == "logit"
    speech = voice(np.random.default_rng(7), 3.0)
    scores = [session.run({"waveform": (gain * speech)[None]})[0][0] for gain in (1.0, 0.01, 2.5)]
    np.testing.assert_allclose(scores, scores[0], atol=1e-3)
    many = session.run({"waveform": np.stack([speech] * 4)})[0]
    assert many.shape == (4,)
    assert many.dtype == np.float32
    assert len(speech) == 3 * SAMPLE_RATE


def test_runs_are_averaged_weight_by_weight() -> None:
    one, other = VoiceNetwork(3), VoiceNetwork(3)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    mean = averaged([one, other]).state_dict()
    for name, value in before.items():
        assert torch.equal(one.state_dict()[name], value)
        if value.dtype.is_floating_point:
            assert torch.allclose(mean[name], (value + other.state_dict()[name]) / 2, atol=1e-6)
