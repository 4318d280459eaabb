"""What reads how far eyes are open, on drawn eyes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.analysis.landmarker import eyes
from monitor.inference.onnx import Session
from monitor.training.face.eyes.eyes import EyeClip, EyeNet, degraded, fit, opened
from monitor.training.face.eyes.eyes_fit import compared, export, openings, summed
from monitor.training.face.forgery.masks import typical_points
from monitor.training.face.pictures.album import FaceFile
from monitor.types import EYE_SHAPE

ROWS, COLUMNS = EYE_SHAPE
FPS = 25.0


def drawn(opening: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Skin, and between the lids a white with an iris."""
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    y, x = (y - ROWS / 2) / ROWS, (x - COLUMNS / 2) / COLUMNS
    inside = (x / 0.4) ** 2 + (y / max(2.5 * opening, 1e-3)) ** 2 < 1
    picture = np.where(inside, np.where(np.hypot(x, y) < 0.15, 40, 220), 150)
    return np.clip(picture + rng.normal(0, 4, EYE_SHAPE), 0, 255).astype(np.uint8)


def clip(seed: int, group: str = "anna") -> EyeClip:
    """Six seconds with a blink in every second one."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, 6, 1 / FPS)
    wide = 0.1 - 0.085 * ((times + 0.2 * seed) % 2 < 0.2)
    both = np.stack([wide, wide], 1)
    shown = np.stack([[drawn(o, rng) for o in pair] for pair in both])
    points = np.tile(typical_points().astype(np.float32), (len(times), 1, 1))
    file = FaceFile(Path("a.mp4"), "video", False, "", "", group, "", "train", FPS, 6, False)
    return EyeClip(file, times, shown, both, points)


@pytest.fixture(scope="module")
def net() -> EyeNet:
    return fit([clip(seed) for seed in range(4)], steps=60)


def test_a_trained_network_sees_the_blinks_of_another_clip(net: EyeNet) -> None:
    other = clip(7)
    found = compared(other, openings(net, other))
    assert found["correlation"] > 0.9
    assert found["teacher"] == found["found"] >= 3
    assert found["false"] == 0


def test_landmarks_that_do_not_move_see_none() -> None:
    still = clip(7)
    found = compared(
        still, opened(still.points) + np.random.default_rng(0).normal(0, 1e-4, (150, 2))
    )
    assert found["found"] == found["seen"] == 0


def test_the_file_says_what_the_network_says(net: EyeNet, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert export(net, path) < 1e-4
    shown = clip(3).eyes.reshape(-1, *EYE_SHAPE)
    said = Session(path).run({"eyes": shown.astype(np.float32)})[0]
    assert np.allclose(said.reshape(-1, 2), openings(net, clip(3)), atol=1e-4)


def test_brightness_and_contrast_change_nothing(net: EyeNet) -> None:
    shown = torch.from_numpy(clip(3).eyes[:4, 0]).float()
    with torch.no_grad():
        assert torch.allclose(net(shown), net(0.5 * shown + 60), atol=1e-3)
        assert torch.isfinite(net(torch.full((1, *EYE_SHAPE), 90.0))).all()


def test_degraded_eyes_keep_their_shape_and_differ() -> None:
    shown = torch.from_numpy(clip(3).eyes[:, 0]).float()
    rng = np.random.default_rng(0)
    for _ in range(8):
        changed = degraded(shown, rng)
        assert changed.shape == shown.shape
        assert torch.isfinite(changed).all()
        assert (changed - shown).abs().mean() > 1


def test_people_are_resampled_and_blinks_are_added_up() -> None:
    row = {"correlation": 0.9, "teacher": 3.0, "found": 2.0, "seen": 2.0, "false": 0.0}
    found = summed([("anna", row), ("ben", {**row, "correlation": 0.5}), ("anna", row)])
    assert (found["clips"], found["people"], found["teacher"], found["found"]) == (3, 2, 9, 6)
    assert found["correlation"] == 0.9
    assert found["interval"] == [0.5, 0.9]


def test_the_left_eye_is_mirrored() -> None:
    points = typical_points().astype(np.float32)
    width = int(points[:, 0].max()) + 60
    ramp = np.broadcast_to(np.linspace(0, 255, width), (width, width))
    right, left = eyes(np.repeat(ramp[..., None], 3, 2).astype(np.uint8), points)
    assert (np.diff(right.mean(axis=0)) > -1e-6).all()
    assert (np.diff(left.mean(axis=0)) < 1e-6).all()
