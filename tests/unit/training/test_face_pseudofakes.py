"""Forgeries made from one picture: they differ from it where the mask says, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from monitor.training.face.forgery import masks
from monitor.training.face.forgery.degradation import (
    Degradation,
    cut_mask,
    degraded,
    drawn_degradation,
    through_codec,
)
from monitor.training.face.forgery.masks import MaskShape, typical_points
from monitor.training.face.forgery.pseudofakes import (
    ENLARGED,
    KINDS,
    PARTIAL,
    SELF_BLEND,
    TWIN,
    Recipe,
    drawn_recipe,
    forge,
)
from monitor.training.face.pictures.crops import MARGIN, WIDE_SIDE

POINTS = typical_points()


def textured(seed: int = 0, side: int = WIDE_SIDE) -> NDArray[np.uint8]:
    """A picture with coarse and fine structure everywhere."""
    rng = np.random.default_rng(seed)
    coarse = Picture.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Picture.Resampling.BICUBIC))
    fine = rng.normal(0, 12, smooth.shape)
    return np.clip(smooth * 0.7 + 30 + fine, 0, 255).astype(np.uint8)


TWINS = np.stack([textured(9, 192), textured(10, 192)])


def recipe(kind: str, region: str = "face") -> Recipe:
    return Recipe(kind, region, MaskShape(blur=3.0), ("colour", "soft"), method=1)


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_equal_outside_the_mask_and_differ_inside(kind: str) -> None:
    picture = textured()
    made = forge(picture, POINTS, recipe(kind), np.random.default_rng(1), TWINS)
    outside = made.mask == 0
    assert outside.mean() > 0.4
    assert (made.fake[outside] == made.real[outside]).all()
    inside = made.mask > 0.9
    assert np.abs(made.fake[inside].astype(int) - made.real[inside]).mean() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_itself_is_left_alone(kind: str) -> None:
    picture = textured()
    before = picture.copy()
    forge(picture, POINTS, recipe(kind), np.random.default_rng(1), TWINS)
    assert (picture == before).all()


@pytest.mark.parametrize("kind", [TWIN, ENLARGED])
def test_the_real_member_is_the_picture(kind: str) -> None:
    picture = textured()
    made = forge(picture, POINTS, recipe(kind), np.random.default_rng(1), TWINS)
    assert (made.real == picture).all()


def test_a_self_blend_pastes_the_change_or_the_original() -> None:
    picture = textured()
    untouched = [
        (forge(picture, POINTS, recipe(SELF_BLEND), np.random.default_rng(i)).real == picture).all()
        for i in range(12)
    ]
    assert any(untouched)
    assert not all(untouched)


def test_a_share_of_the_pasted_picture_changes_less() -> None:
    picture = textured()
    whole = recipe(ENLARGED)
    quarter = replace(whole, shape=replace(whole.shape, ratio=0.25))
    strong = forge(picture, POINTS, whole, np.random.default_rng(1))
    weak = forge(picture, POINTS, quarter, np.random.default_rng(1))
    off = [np.abs(m.fake.astype(int) - m.real).mean() for m in (strong, weak)]
    assert off[1] == pytest.approx(off[0] / 4, rel=0.15)


def test_a_replaced_crop_has_no_border() -> None:
    made = forge(textured(), POINTS, recipe(TWIN, "crop"), np.random.default_rng(1), TWINS)
    assert made.border is None
    assert (made.mask == 1).all()


def test_a_twin_needs_the_autoencoders() -> None:
    with pytest.raises(ValueError, match="twins"):
        forge(textured(), POINTS, recipe(TWIN), np.random.default_rng(1))


@pytest.mark.parametrize("region", masks.REGIONS)
def test_masks_lie_within_the_face(region: str) -> None:
    for seed in range(6):
        mask = masks.draw(POINTS, region, MaskShape(wobble=0.01), np.random.default_rng(seed))
        assert mask.max() > 0.9
        assert mask.min() == 0
        rows, columns = np.nonzero(mask > 0.5)
        left, top = POINTS.min(axis=0) - 20
        right, bottom = POINTS.max(axis=0) + 20
        assert left < columns.min()
        assert columns.max() < right
        assert top < rows.min()
        assert rows.max() < bottom


def test_parts_are_smaller_than_faces() -> None:
    def area(region: str) -> float:
        return float(masks.draw(POINTS, region, MaskShape(), np.random.default_rng(0)).mean())

    assert area("mouth") < area("lower") < area("face") < area("oval")
    assert area("eye") < area("eyes") < area("inner")


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(KeyError):
        masks.draw(POINTS, "ears", MaskShape(), np.random.default_rng(0))


def test_a_border_runs_where_both_pictures_mix() -> None:
    mask = masks.draw(POINTS, "face", MaskShape(blur=4), np.random.default_rng(0))
    edge = masks.border(mask)
    assert (edge[mask == 1] == 0).all()
    assert (edge[mask == 0] == 0).all()
    assert edge.max() > 0.95


def test_recipes_are_of_every_kind_and_region() -> None:
    rng = np.random.default_rng(0)
    drawn = [drawn_recipe(rng) for _ in range(600)]
    assert {r.kind for r in drawn} == set(KINDS)
    assert {r.region for r in drawn} == {*masks.REGIONS, "crop"}
    assert all(r.region in masks.PARTIAL for r in drawn if r.kind == PARTIAL)
    blends = np.mean([r.kind == SELF_BLEND for r in drawn])
    assert blends == pytest.approx(KINDS[SELF_BLEND], abs=0.07)


@pytest.mark.parametrize("codec", ["", "h264", "vp8"])
def test_a_draw_does_the_same_to_equal_pictures(codec: str) -> None:
    how = drawn_degradation(np.random.default_rng(3), 120.0)
    how = replace(how, codec=codec, frames=6, quantiser=30.0, noise=4.0, screen=0.05, jpeg=0)
    picture = textured()
    assert (degraded(picture, how) == degraded(picture.copy(), how)).all()


def test_outside_the_forged_part_a_pair_stays_equal_through_camera_noise() -> None:
    made = forge(textured(), POINTS, recipe(PARTIAL, "mouth"), np.random.default_rng(2))
    how = Degradation(seed=5, side=150, mirrored=True, turn=2.0, gamma=1.2, noise=4.0, screen=0.05)
    real, fake = degraded(made.real, how), degraded(made.fake, how)
    shown = cut_mask(made.mask, how)
    assert (real[:80] == fake[:80]).all()
    assert np.abs(real.astype(int) - fake)[shown > 0.8].mean() > 1


def test_a_mask_follows_its_picture() -> None:
    mask = masks.draw(POINTS, "mouth", MaskShape(blur=1), np.random.default_rng(0))
    picture = np.repeat((mask * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    how = Degradation(mirrored=True, turn=4.0, zoom=1.05, shift=(5.0, -3.0))
    shown = degraded(picture, how)[:, :, 0] / 255
    assert np.abs(shown - cut_mask(mask, how)).max() < 0.02


def test_without_any_degradation_the_crop_is_the_middle() -> None:
    picture = textured()
    assert (degraded(picture, Degradation()) == picture[MARGIN:-MARGIN, MARGIN:-MARGIN]).all()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_codec_gives_the_last_picture_and_fewer_bits_at_coarser_steps(codec: str) -> None:
    clip = [np.roll(textured(side=128), i, axis=1) for i in range(6)]
    fine, many = through_codec(clip, codec, 20.0)
    coarse, few = through_codec(clip, codec, 44.0)
    assert few < many / 2
    off = [np.abs(p.astype(int) - clip[-1]).mean() for p in (fine, coarse)]
    assert off[0] < off[1]
    assert off[1] < np.abs(clip[0].astype(int) - clip[-1]).mean()
