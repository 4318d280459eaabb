"""Slices of genuine faces, on crops whose skin, beard and light are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.training.face.forgery.slices import (
    FAIR,
    HAIRY,
    backlit,
    beard,
    beautified,
    share,
    slices,
    typology_angle,
)
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.looks import Looks
from tests.unit.training.test_face_album import crops
from tests.unit.training.test_face_ranking import Brightness, file

LIGHT, DARK = (230, 195, 175), (110, 75, 55)
"""Colours of cheeks in even light."""


def skin(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, 224, 224)).copy()


def noisy(crop: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, deviation, crop.shape[1:])
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def test_light_and_dark_skin_lie_on_either_side() -> None:
    assert typology_angle(skin(LIGHT)) > FAIR > typology_angle(skin(DARK))


def test_a_beard_is_texture_on_the_chin_alone() -> None:
    bearded = noisy(skin(LIGHT), 2)
    bearded[:, 160:] = noisy(skin(LIGHT), 20)[:, 160:]
    assert beard(bearded) > HAIRY > beard(noisy(skin(LIGHT), 2))


def test_filters_smooth_skin_and_darken_faces() -> None:
    face = noisy(skin(LIGHT), 4)
    assert beautified(face).std(axis=(1, 2)).max() < face.std(axis=(1, 2)).max() / 2
    edge = face.copy()
    edge[:, :, 112:] = 60
    step = beautified(edge).astype(int)[:, 112, 100:124]
    assert (step[:, 0] - step[:, -1]).min() > 90, "edges stay"
    assert backlit(face).mean() < face.mean() - 20


def test_the_interval_draws_people() -> None:
    flags = np.array([True] * 10 + [False])
    found = share(flags, np.array(["anna"] * 10 + ["ben"]))
    assert found == {"share": 0.909, "interval": [0.0, 1.0], "of": 11, "people": 2}


def test_slices_count_genuine_people_only() -> None:
    files: list[FaceFile] = [file("anna", fake=False, kind="video"), file("bad", fake=True)]
    shown = np.stack([skin(LIGHT)] * 8 + [skin(DARK)])
    dev = Looks(
        shown,
        np.array([0] * 8 + [1]),
        np.r_[np.arange(8) / 2, 0.0],
        *[np.full(9, 100.0)] * 5,
    )
    found = slices(files, dev, crops(), Brightness(), 0.0)  # type: ignore[arg-type]
    assert found["clips"]["of"] >= 8
    assert found["windows"]["as filmed"]["share"] == 1.0
    assert found["windows"]["backlit"]["flagged an hour"][0] == pytest.approx(3600)
