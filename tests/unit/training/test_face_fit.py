"""Fitting on a handful of pictures: it runs, stops, goes on, and learns."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.training.face.forgery.autoencoder import (
    DESIGNS,
    Autoencoder,
    Design,
    fit,
    rebuild,
    shrunk,
)
from monitor.training.face.forgery.fit import (
    BEST,
    CHECKPOINT,
    HISTORY,
    FitPlan,
    Trainer,
    load_network,
)
from monitor.training.face.forgery.judge import SyntheticJudge
from monitor.training.face.forgery.network import SMALL, ForgeryNetwork
from monitor.training.face.forgery.survival import QUANTISERS, WIDTHS, survival
from monitor.training.face.pictures.looks import Looks
from tests.unit.training.test_face_album import crops, maker
from tests.unit.training.test_face_pseudofakes import POINTS, textured
from tests.unit.training.test_face_ranking import file

PLAN = FitPlan(steps=2, pairs=2, reservoir=40, frozen=0, warm_up=0)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ForgeryNetwork(SMALL)
    before = network.decision.weight.detach().clone()
    seen: list[ForgeryNetwork] = []

    def judge(found: ForgeryNetwork) -> dict[str, float]:
        seen.append(found)
        return {"objective": 1.0}

    first = Trainer(network, maker(), tmp_path, PLAN).run(judge)
    assert first.step == 2
    assert (network.decision.weight != before).any()
    assert (tmp_path / CHECKPOINT).exists()
    again = Trainer(ForgeryNetwork(SMALL), maker(), tmp_path, replace(PLAN, steps=3))
    assert again.run(judge).step == 3
    assert len(seen) == 2
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    found = load_network(tmp_path / BEST)
    assert not found.training
    assert found.layout is SMALL
    done = Trainer(ForgeryNetwork(SMALL), maker(), tmp_path, replace(PLAN, steps=3))
    assert done.run(judge).made == again.run(judge).made, "a run that has ended makes nothing"


def test_frozen_blocks_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ForgeryNetwork(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Trainer(network, maker(), tmp_path, replace(PLAN, frozen=2)).run()
    for name, value in network.state_dict().items():
        kept = name.startswith(("blocks.0.", "blocks.1."))
        assert torch.equal(value, before[name]) == kept, name


def test_the_judge_ranks_forgeries_of_both_kinds() -> None:
    class Brighter(ForgeryNetwork):
        def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return faces.mean(dim=(1, 2, 3)), torch.zeros(len(faces), 14, 14)

    makes = maker()
    pairs = [makes.pair(i) for i in range(4)]
    for pair in pairs:
        pair.faces[1] = np.minimum(pair.faces[0], 200) + 40
        pair.faces[0] = np.minimum(pair.faces[0], 200)
    dark, light = (np.full((1, 3, 224, 224), value, np.uint8) for value in (20, 200))
    plain = np.zeros(4)
    dev = Looks(np.concatenate([dark, light, light, dark]), np.arange(4), *[plain] * 6)
    files = [file("a", False), file("b", True)]
    files += [file("c", False, "image"), file("d", True, "image")]
    found = SyntheticJudge(pairs, dev, files)(Brighter(SMALL))
    assert found["synthetic"] > 0.6
    assert found["objective"] == pytest.approx(1 - found["synthetic"])
    assert (found["dev_video"], found["dev_image"]) == (1.0, 0.0)


@pytest.mark.parametrize("design", DESIGNS)
def test_every_autoencoder_gives_pictures_of_the_same_size(design: Design) -> None:
    pictures = shrunk(crops(2))
    assert pictures.shape == (2, 192, 192, 3)
    assert rebuild(Autoencoder(design).eval(), pictures).shape == pictures.shape


def test_an_autoencoder_learns_to_show_a_crop_again() -> None:
    some = crops(3)
    colours = np.array([[230, 40, 40], [40, 230, 40], [40, 40, 230]], np.uint8)
    some = replace(some, wide=np.broadcast_to(colours[:, None, None], some.wide.shape).copy())
    pictures = shrunk(some)
    torch.manual_seed(0)
    untrained = rebuild(Autoencoder(DESIGNS[1]).eval(), pictures)
    trained = rebuild(fit(some, DESIGNS[1], 10, steps=40), pictures)

    def off(found: NDArray[np.uint8]) -> float:
        return float(np.abs(found.astype(int) - pictures).mean())

    assert off(trained) < 0.8 * off(untrained)


def test_survival_is_told_by_width_and_by_bits() -> None:
    class Session:
        inputs = ("face",)

        def run(self, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            return [feeds["face"].mean(axis=(1, 2, 3))]

    some = crops(2)
    points = np.stack([POINTS] * 2)
    twins = np.stack([np.stack([textured(30 + i, 192) for i in range(2)])] * 2)
    report = survival(some, points, twins, Session(), count=4)  # type: ignore[arg-type]
    assert set(report["width"]) == {str(width) for width in WIDTHS}
    bits = [report["codec"][str(q)]["bits per pixel"] for q in QUANTISERS]
    assert bits == sorted(bits, reverse=True)
    assert all(low <= value <= high for value, low, high in report["width"].values())
