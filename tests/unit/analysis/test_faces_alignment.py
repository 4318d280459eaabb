import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.analysis.alignment import (
    CROP_SIDE,
    TEMPLATE,
    Pyramid,
    align,
    crop_map,
    similarity,
)
from monitor.types import Image


def ramp(height: int = 300, width: int = 400) -> Image:
    """A picture whose red is half its x and whose green is half its y."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x / 2, y / 2, np.full_like(x, 7)], axis=2).round().astype(np.uint8)


def turned(points: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(points @ turn.T, np.float64)


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.1, 10),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_similarity_recovers_turn_scale_and_shift(
    degrees: float, scale: float, x: float, y: float
) -> None:
    target = turned(TEMPLATE, degrees) * scale + [x, y]
    found = similarity(TEMPLATE, target)
    assert np.allclose(TEMPLATE @ found[:, :2].T + found[:, 2], target, atol=1e-6)


def test_similarity_never_mirrors() -> None:
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity(TEMPLATE, mirrored)[:, :2]) > 0


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_crop_shows_the_landmarks_at_the_template(degrees: float) -> None:
    picture = np.zeros((400, 500, 3), np.uint8)
    landmarks = turned(TEMPLATE - 0.5, degrees) * 180 + [250, 200]
    y, x = np.mgrid[:400, :500] + 0.5
    for left, top in landmarks:
        picture[np.hypot(x - left, y - top) < 5] = 255
    crop = align(picture, landmarks).astype(float).mean(axis=0)
    rows, columns = np.mgrid[:CROP_SIDE, :CROP_SIDE] + 0.5
    for left, top in TEMPLATE * CROP_SIDE:
        weight = crop * (np.hypot(columns - left, rows - top) < 12)
        middle = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        assert np.hypot(*(middle - [left, top])) < 1


def test_crop_is_red_green_blue_planes() -> None:
    picture = np.full((200, 200, 3), (10, 120, 250), np.uint8)
    crop = align(picture, TEMPLATE * 100 + 50)
    assert crop.shape == (3, CROP_SIDE, CROP_SIDE)
    assert crop.dtype == np.uint8
    assert crop.reshape(3, -1).min(axis=1).tolist() == [10, 120, 250]
    assert crop.reshape(3, -1).max(axis=1).tolist() == [10, 120, 250]


def test_crop_beyond_the_picture_repeats_its_edge() -> None:
    picture = np.full((50, 60, 3), 200, np.uint8)
    assert (align(picture, TEMPLATE * 300 - 100) == 200).all()
    assert (align(picture, TEMPLATE * 100 + 5000) == 200).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.5, 4.0, 5.3])
def test_sample_reads_the_mapped_place_at_every_scale(scale: float) -> None:
    maps = np.array([[[scale, 0.05, 80.0], [-0.05, scale, 60.0]]])
    sample = Pyramid(ramp(), (60, 30, 390, 290)).sample(maps, 40, 30)[0]
    rows, columns = np.mgrid[:40, :30] + 0.5
    x = scale * columns + 0.05 * rows + 80
    y = -0.05 * columns + scale * rows + 60
    assert np.abs(sample[..., 0] - np.minimum(x, 390) / 2).max() < 2
    assert np.abs(sample[..., 1] - np.minimum(y, 290) / 2).max() < 2
    assert (sample[..., 2] == 7).all()


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    maps = np.array([[[8.0, 0, 0], [0, 8.0, 0]]])
    assert np.abs(Pyramid(stripes).sample(maps, 32, 32).astype(int) - 100).max() <= 2


def test_many_crops_equal_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    scales = rng.uniform(0.3, 6, 40)
    maps = np.zeros((40, 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = scales
    maps[:, :, 2] = rng.uniform(-20, 100, (40, 2))
    pyramid = Pyramid(picture)
    together = pyramid.sample(maps, 24, 24)
    for one, crop in zip(maps, together, strict=True):
        assert np.array_equal(pyramid.sample(one[None], 24, 24)[0], crop)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 7), (4, 4), (5, 300)])
def test_tiny_pictures_can_be_sampled(height: int, width: int) -> None:
    picture = np.full((height, width, 3), 90, np.uint8)
    assert (align(picture, TEMPLATE * 8) == 90).all()


def test_crop_map_leads_back_to_the_picture() -> None:
    landmarks = turned(TEMPLATE, 10) * 150 + 70
    back = crop_map(landmarks)
    assert np.allclose(TEMPLATE * CROP_SIDE @ back[:, :2].T + back[:, 2], landmarks, atol=1e-6)
