"""The forgery network's file: names, shapes and values that others rely on."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from monitor.inference.onnx import Session
from monitor.training.face.forgery.export import TOLERANCE, export_network, largest_difference, read
from monitor.training.face.forgery.fit import border_loss
from monitor.training.face.forgery.network import (
    BOTTOM,
    LARGE,
    LEFT,
    RIGHT,
    SMALL,
    TOP,
    ForgeryNetwork,
    Layout,
    load_imagenet,
    parameter_count,
)


@pytest.fixture(scope="module")
def network() -> ForgeryNetwork:
    torch.manual_seed(0)
    return ForgeryNetwork(SMALL).eval()


@pytest.fixture(scope="module")
def path(network: ForgeryNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("face") / "model.onnx"
    assert export_network(network, found) <= TOLERANCE
    return found


@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_of_any_size_gives_logits_and_maps(path: Path, count: int) -> None:
    session = Session(path)
    assert session.inputs == ("face",)
    assert session.outputs == ("logit", "heatmap")
    faces = np.random.default_rng(0).random((count, 3, 224, 224), np.float32)
    logit, heatmap = session.run({"face": faces})
    assert logit.shape == (count,)
    assert heatmap.shape == (count, 14, 14)
    assert heatmap.min() >= 0
    assert heatmap.max() <= 1


def test_faces_of_a_batch_do_not_meet(path: Path) -> None:
    session = Session(path)
    faces = np.random.default_rng(0).random((3, 3, 224, 224), np.float32)
    together = session.run({"face": faces})[0]
    alone = [session.run({"face": face[None]})[0][0] for face in faces]
    assert np.abs(together - alone).max() < 1e-4


def test_the_map_lies_over_the_crop_and_the_rim_is_never_suspected(network: ForgeryNetwork) -> None:
    faces = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        heatmap = network(faces)[1].numpy()
    inside = np.zeros((14, 14), bool)
    inside[TOP:BOTTOM, LEFT:RIGHT] = True
    assert (heatmap[:, ~inside] == 0).all()
    assert (heatmap[:, inside] > 0).all()


def test_a_file_can_be_trained_on_from(path: Path, network: ForgeryNetwork) -> None:
    found = read(path, SMALL)
    for name, values in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], values), name
    with pytest.raises(RuntimeError, match="size mismatch"):
        read(path, LARGE)


def test_nothing_is_padded_before_a_convolution(path: Path) -> None:
    graph = onnx.load(path).graph
    padded = {name for node in graph.node if node.op_type == "Pad" for name in node.output}
    assert not [n for n in graph.node if n.op_type == "Conv" and n.input[0] in padded]


def test_another_network_is_noticed(path: Path) -> None:
    torch.manual_seed(1)
    assert largest_difference(ForgeryNetwork(SMALL).eval(), path) > TOLERANCE


def test_sizes() -> None:
    assert parameter_count(ForgeryNetwork(LARGE)) < 750_000
    assert parameter_count(ForgeryNetwork(SMALL)) < 80_000


def test_normalisation_is_folded_into_the_convolutions(tmp_path: Path) -> None:
    layout = Layout("stem", 32, ())
    torch.manual_seed(0)
    weights = {
        "_conv_stem.weight": torch.randn(32, 3, 3, 3),
        "_bn0.weight": torch.rand(32) + 0.5,
        "_bn0.bias": torch.randn(32),
        "_bn0.running_mean": torch.randn(32),
        "_bn0.running_var": torch.rand(32) + 0.5,
    }
    torch.save(weights, tmp_path / "weights.pth")
    network = ForgeryNetwork(layout)
    load_imagenet(network, tmp_path / "weights.pth")
    picture = torch.randn(1, 3, 8, 8)
    padded = torch.nn.functional.pad(picture, (0, 1, 0, 1))
    plain = torch.nn.functional.conv2d(padded, weights["_conv_stem.weight"], stride=2)
    scale, shift = weights["_bn0.weight"], weights["_bn0.bias"]
    spread = (weights["_bn0.running_var"] + 1e-3).sqrt()
    normal = (plain - weights["_bn0.running_mean"][:, None, None]) / spread[:, None, None]
    expected = (normal * scale[:, None, None] + shift[:, None, None]).clamp(0, 6)
    with torch.no_grad():
        assert torch.allclose(network.blocks(picture), expected, atol=1e-4)


def test_borders_count_for_forgeries_with_a_known_one_only() -> None:
    seen = torch.zeros(4, BOTTOM - TOP, RIGHT - LEFT, requires_grad=True)
    border = torch.ones(2, 14, 14)
    border[1] = torch.nan
    loss = border_loss(seen, border)
    loss.backward()  # type: ignore[no-untyped-call]
    assert seen.grad is not None
    push = seen.grad.sum(dim=(1, 2))
    assert push[0] > 0, "a genuine face has no border"
    assert push[1] < 0, "a forged one has"
    assert push[2] > 0
    assert push[3] == 0, "who replaces everything leaves none"
