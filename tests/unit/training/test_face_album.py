"""Albums, the crops cut from them, and the pairs that are made of those."""

import multiprocessing
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from monitor.analysis.alignment import TEMPLATE, align
from monitor.training.face.forgery.masks import typical_points
from monitor.training.face.forgery.pairs import (
    Pair,
    PairMaker,
    PairPlan,
    Reservoir,
    held_out,
    read_points,
    stream,
)
from monitor.training.face.pictures.album import pictures, read_album
from monitor.training.face.pictures.crops import MARGIN, WIDE_SIDE, Crops, wide_crop, wide_map
from tests.unit.training.test_face_pseudofakes import textured

HEADER = (
    "path,kind,label,method,method_family,identity_group,source,licence,split,"
    "width,height,fps,duration_s,has_audio,notes\n"
)


def crops(count: int = 6) -> Crops:
    return Crops(
        wide=np.stack([textured(i) for i in range(count)]),
        maps=np.stack([np.array([[1.0, 0, 10], [0, 1.0, 20]])] * count),
        five=np.stack([TEMPLATE * 224 + MARGIN] * count),
        face_px=np.full(count, 110.0),
        time=np.zeros(count),
        path=np.array([f"{i}.jpg" for i in range(count)]),
        group=np.array([f"person{i}" for i in range(count)]),
        source=np.array(["album"] * count),
        video=np.arange(count) % 2 == 0,
    )


def maker(plan: PairPlan | None = None) -> PairMaker:
    some = crops()
    points = np.stack([typical_points()] * len(some))
    twins = np.stack([np.stack([textured(20 + i, 192) for i in range(len(some))])] * 2)
    return PairMaker(some, points, twins, plan or PairPlan(), seed=3)


def test_a_manifest_becomes_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        HEADER
        + "images/a.jpg,image,real,human,human,p1,album,CC0,train,448,448,,,0,\n"
        + "videos/b.mp4,video,fake,swap,faceswap,p2,album,CC0,dev,640,480,25,4.5,1,\n"
    )
    still, clip = read_album(tmp_path)
    assert (still.kind, still.fake, still.fps, still.seconds) == ("image", False, 0, 0)
    assert (clip.fake, clip.family, clip.group, clip.fps, clip.seconds) == (
        True,
        "faceswap",
        "p2",
        25,
        4.5,
    )
    assert clip.audio
    assert clip.path == tmp_path / "videos/b.mp4"


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        HEADER + "a.jpg,image,real,human,human,p1,album,CC0,train,448,448,fast,,0,\n"
    )
    with pytest.raises(ValueError, match=r"manifest\.csv:2"):
        read_album(tmp_path)


def test_a_photograph_is_one_picture(tmp_path: Path) -> None:
    Picture.fromarray(textured()).save(tmp_path / "a.png")
    ((time, image),) = pictures(tmp_path / "a.png")
    assert time == 0
    assert image.shape == (WIDE_SIDE, WIDE_SIDE, 3)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.7])
def test_the_middle_of_a_wide_crop_is_the_services_crop(scale: float) -> None:
    image = textured(side=640)
    landmarks = TEMPLATE * 224 * scale + [90, 60]
    wide = wide_crop(image, landmarks)
    crop = align(image, landmarks).transpose(1, 2, 0)
    # The sampler rounds positions to a sixteenth of a pixel, now and then the other way.
    assert np.abs(wide[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(int) - crop).mean() < 0.5


def test_the_map_of_a_wide_crop_leads_to_the_landmarks() -> None:
    landmarks = TEMPLATE * 300 + [40, 50]
    back = wide_map(landmarks)
    there = (TEMPLATE * 224 + MARGIN) @ back[:, :2].T + back[:, 2]
    assert np.allclose(there, landmarks)


def test_crops_survive_a_file(tmp_path: Path) -> None:
    some = crops()
    some.save(tmp_path / "crops.npz")
    again = Crops.load(tmp_path / "crops.npz").chosen(some.video)
    assert (again.wide == some.wide[::2]).all()
    assert list(again.group) == ["person0", "person2", "person4"]


def test_landmarks_are_brought_into_the_crop_or_replaced(tmp_path: Path) -> None:
    some = crops(2)
    placed = typical_points() + 3
    for name, points in (("0", placed + [10, 20]), ("1", placed + 400)):
        np.savez(tmp_path / f"{name}.npz", times=np.zeros(1), points=points[None])
    points, own = read_points(some, tmp_path)
    assert own == 1
    assert np.allclose(points[0], placed)
    assert np.allclose(points[1], typical_points()), "those are of another face"


def test_the_same_number_gives_the_same_pair() -> None:
    first, second = maker(), maker()
    for number in (0, 7):
        assert (first.pair(number).faces == second.pair(number).faces).all()
    assert (first.pair(0).faces != first.pair(7).faces).any()


def test_a_pair_is_two_crops_and_a_border() -> None:
    makes = maker()
    pairs = [makes.pair(i) for i in range(12)]
    for pair in pairs:
        assert pair.faces.shape == (2, 224, 224, 3)
        assert pair.border.shape == (14, 14)
        known = pair.border[np.isfinite(pair.border)]
        assert known.size in (0, 196)
        assert ((known >= 0) & (known <= 1)).all()
    assert any(np.nanmax(p.border, initial=0) > 0.5 for p in pairs)


def test_what_the_network_errs_on_is_drawn_more_often() -> None:
    recipes = maker().recipes
    for _ in range(50):
        recipes.learnt(0, 9.0)
    rng = np.random.default_rng(0)
    drawn = [recipes.draw(rng) for _ in range(4000)]
    mean = len(drawn) / len(recipes.all)
    assert 2 * mean < drawn.count(0) < 5 * mean
    even = maker(PairPlan(hardening=False)).recipes
    even.learnt(0, 90.0)
    assert [even.draw(rng) for _ in range(4000)].count(0) < 2.5 * mean


def test_people_are_held_out_whole() -> None:
    some = crops(6)
    same = Crops(**{**{f: getattr(some, f) for f in some.__slots__}, "group": np.array(["x"] * 6)})
    assert len(set(held_out(same))) == 1


def test_a_reservoir_gives_what_came_and_reports_an_end() -> None:
    makes = maker(PairPlan(degrading=False))
    some = [makes.pair(i) for i in range(16)]

    def ending() -> Generator[Pair, None, None]:
        yield from some
        raise RuntimeError("the process that makes pairs has stopped")

    with Reservoir(ending(), 64, 0) as reservoir:
        faces, border, recipe = reservoir.draw(1, np.random.default_rng(0))
        assert faces.shape == (1, 2, 224, 224, 3)
        assert border.shape == (1, 14, 14)
        assert recipe[0] in {pair.recipe for pair in some}
        with pytest.raises(RuntimeError, match="stopped"):
            reservoir.draw(8, np.random.default_rng(0))


def test_a_reservoir_that_is_left_ends_what_fills_it() -> None:
    before = set(multiprocessing.active_children())
    pairs = stream(maker(PairPlan(degrading=False)))
    with Reservoir(pairs, 16, 0) as reservoir:
        reservoir.draw(1, np.random.default_rng(0))
        assert len(set(multiprocessing.active_children()) - before) == 1
    assert set(multiprocessing.active_children()) <= before
    assert next(pairs, None) is None
