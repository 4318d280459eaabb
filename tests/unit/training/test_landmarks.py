"""Training of landmarks: what is kept of a clip, what a blink weighs, and going on from a file."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.landmarks import INNER_LIPS, LEFT_EYE, POINTS, RIGHT_EYE
from monitor.training.face.landmark_batch import Batch
from monitor.training.face.landmark_data import openings
from monitor.training.face.landmark_export import export_landmarks
from monitor.training.face.landmark_net import Found, LandmarkNet
from monitor.training.face.landmark_train import loss, read


def eyes(opening: float) -> NDArray[np.float32]:
    """Landmarks of a face whose eyes are 20 wide and `opening` high, shape (POINTS, 2)."""
    points = np.zeros((POINTS, 2), np.float32)
    along = np.linspace(0, 20, 9)
    for eye, left in ((RIGHT_EYE, 0.0), (LEFT_EYE, 60.0)):
        points[eye, 0] = left + np.r_[along, along[7:0:-1]]
        points[eye.start + 1 : eye.start + 8, 1] = opening / 2
        points[eye.start + 9 : eye.stop, 1] = -opening / 2
    return points


def batch(points: NDArray[np.float32]) -> Batch:
    return Batch(
        torch.zeros(1, 3, 112, 112),
        torch.from_numpy(points)[None],
        torch.zeros(1, 3),
        torch.ones(1),
    )


def test_an_opening_is_the_height_of_an_eye_over_its_width() -> None:
    found = openings(np.stack([eyes(6), eyes(0)]))
    assert np.allclose(found, [0.3, 0.0], atol=1e-3)


def test_a_missed_blink_costs_more_than_a_face_that_lies_as_far_off() -> None:
    true = eyes(0) / np.float32(112)
    # As far from the truth, point by point: lids that stay open, and an eye that is lower.
    opened, lower = eyes(6) / np.float32(112), eyes(0) / np.float32(112)
    lower[:32, 1] += np.abs(opened[:32, 1] - true[:32, 1])
    costs = [
        loss(Found(torch.from_numpy(p)[None], torch.zeros(1, 3), torch.ones(1)), batch(true))
        for p in (opened, lower)
    ]
    assert costs[0] > 1.2 * costs[1]


def test_lips_that_stay_shut_cost_too() -> None:
    true = np.zeros((POINTS, 2), np.float32)
    true[INNER_LIPS.start + 3, 1] = 0.05
    still, aside = true.copy(), true.copy()
    still[INNER_LIPS.start + 3, 1] = 0
    aside[INNER_LIPS, 0] += 0.05 / 12
    costs = [
        loss(Found(torch.from_numpy(p)[None], torch.zeros(1, 3), torch.ones(1)), batch(true))
        for p in (still, aside)
    ]
    assert costs[0] > costs[1]


def test_a_file_can_be_trained_on_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LandmarkNet()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            torch.nn.init.uniform_(part.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(part.running_var, 0.5, 1.5)
    path = tmp_path / "model.onnx"
    export_landmarks(network.eval(), path)
    crops = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        for ours, theirs in zip(network(crops), read(path)(crops), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)
