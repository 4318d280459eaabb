"""A head on pairs: it finds what differs, uses what it may, and exports with its network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from monitor.inference.onnx import Session
from monitor.training.face.forgery.export import export_network
from monitor.training.face.forgery.network import LARGE, ForgeryNetwork
from monitor.training.face.matched.contrast import Contrast
from monitor.training.face.matched.matched import Signs
from monitor.training.face.matched.order import compared, in_order, pooled, within
from monitor.training.face.matched.rank import SEEN_SIGNS, left_out
from monitor.training.face.matched.ranked import (
    CONTRAST,
    SEEN,
    Head,
    HeadPlan,
    Look,
    RankedNetwork,
    fit,
)
from monitor.training.face.pictures.album import FaceFile

SIGNS = SEEN_SIGNS + 10


def pairs(sign: int, pages: int = 4, each: int = 30) -> Signs:
    """Pairs whose forged members differ in one sign, on pages with offsets of their own."""
    rng = np.random.default_rng(0)
    source = np.repeat([f"page{i}" for i in range(pages)], each)
    base = rng.normal(0, 1, (pages * each, SIGNS)) + np.repeat(
        rng.normal(0, 1, (pages, 1)), each, 0
    )
    fake = base + rng.normal(0, 0.1, base.shape)
    fake[:, sign] += 1.0
    lone = rng.normal(0, 1, (100, SIGNS)).astype(np.float32)
    real, forged = base.astype(np.float32), fake.astype(np.float32)
    return Signs(real, forged, source, source, np.ones(len(source)), lone)


@pytest.mark.parametrize(("sign", "group"), [(3, SEEN), (SEEN_SIGNS + 3, CONTRAST)])
def test_pages_that_were_left_out_are_put_in_order(sign: int, group: str) -> None:
    assert left_out(pairs(sign), HeadPlan((group,)))["in order"] > 0.9


def test_signs_that_are_not_used_have_no_weight() -> None:
    found = pairs(3)
    head = fit(found, np.ones(len(found.real), bool), SEEN_SIGNS, HeadPlan((CONTRAST,)))
    assert not head.weight[:SEEN_SIGNS].any()
    assert head.weight[SEEN_SIGNS:].any()
    assert left_out(found, HeadPlan((CONTRAST,)))["in order"] < 0.7


def test_a_soft_face_in_a_sharp_picture_stands_out_and_a_soft_picture_does_not() -> None:
    picture = np.random.default_rng(0).random((224, 224, 3))
    soft = ndimage.gaussian_filter(picture, (2, 2, 0))
    patched = picture.copy()
    patched[78:180, 62:162] = soft[78:180, 62:162]
    shown = [
        torch.from_numpy(p.transpose(2, 0, 1).astype(np.float32))[None]
        for p in (picture, soft, patched)
    ]
    maps = [torch.zeros(1, 1, 44, 40), torch.zeros(1, 1, 22, 20)]
    sharp, dull, mixed = (Contrast()(faces, maps)[0, 2] for faces in shown)
    assert abs(dull - sharp) < 0.2
    assert mixed < sharp - 1


def test_the_head_leaves_with_its_network_and_the_heat_map_stays(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ForgeryNetwork(LARGE).eval()
    with torch.no_grad():
        total = Look(network).eval()(torch.rand(1, 3, 224, 224))[0].shape[1]
    head = Head(np.random.default_rng(0).normal(0, 0.1, total).astype(np.float32), 0.5)
    ranked = RankedNetwork(network, head).eval()
    assert export_network(ranked, tmp_path / "ranked.onnx") < 1e-4
    faces = torch.rand(3, 3, 224, 224)
    logit, heatmap = Session(tmp_path / "ranked.onnx").run({"face": faces.numpy()})
    with torch.no_grad():
        signs = ranked.look(faces)[0].numpy()
        _, before = network(faces)
    assert logit == pytest.approx(head(signs), abs=1e-3)
    assert heatmap == pytest.approx(before.numpy(), abs=1e-4)


def test_figures_of_pages() -> None:
    def file(name: str, fake: bool, pair: str, source: str) -> FaceFile:
        family = "faceswap" if fake else "human"
        return FaceFile(
            Path(name), "image", fake, "", family, pair, source, "test", 0, 0, False, pair
        )

    files = [
        file("a", False, "one", "page"),
        file("b", True, "one", "page"),
        file("c", True, "one", "page"),
        file("d", False, "two", "other"),
        file("e", True, "two", "other"),
        file("f", False, "", "other"),
    ]
    score = np.array([0.0, 1.0, -1.0, 5.0, 6.0, np.nan])
    assert in_order(files, score) == 0.75
    assert within(files, score) == 0.75
    assert pooled(files, score) == 0.5
    report = compared(files, {"first": score, "second": -score})
    assert report["first"]["pairs in order"]["less the first"] == 0
    assert report["second"]["pairs in order"]["less the first"] == -0.5
    assert np.isnan(in_order(files, np.full(6, np.nan)))
