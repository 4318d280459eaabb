"""EyeNet: a picture of an eye → how far it is open. Distilled from the teacher's lids.

In the crop that the landmark network sees an eye is ten pixels wide, and its lids do not move with
the eye's. Here the same landmarks only say where the eye is; a network of its own looks at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from monitor.analysis.cascade import Cascade
from monitor.analysis.faces import FaceTracker
from monitor.analysis.landmarker import Landmarker, LandmarkTracker, eyes, five_points
from monitor.training.face.pictures.album import FaceFile, pictures
from monitor.types import EYE_SHAPE, VideoFrame
from monitor.types.landmarks import LEFT_EYE, RIGHT_EYE

ROWS, COLUMNS = EYE_SHAPE
BATCH = 128
STEPS = 1200
_RATE = 4e-3
_UNIT = 0.05
"""Openings are learned in so many distances between the eyes: half of a wide open one."""
_APART = 0.3
"""Distances between the eyes that service and teacher may differ by and mean the same face."""
_BINS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Quantiles of the opening; closed eyes are rare, and what this is for."""


@dataclass(frozen=True, slots=True)
class EyeClip:
    """The eyes of one person in one clip or photograph, where the service found them."""

    file: FaceFile
    times: NDArray[np.float64]
    """Seconds, shape (pictures,)."""
    eyes: NDArray[np.uint8]
    """Shape (pictures, 2, *EYE_SHAPE), as in a CueWindow."""
    openings: NDArray[np.float64]
    """The teacher's, shape (pictures, 2), right and left, in distances between the eyes."""
    points: NDArray[np.float32]
    """The service's landmarks, shape (pictures, POINTS, 2)."""


class EyeNet(nn.Module):
    """Three convolutions and two layers; standardises what it is given."""

    def __init__(self, width: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.look = nn.Sequential(
            *_layer(1, width), nn.MaxPool2d(2), *_layer(width, 2 * width), nn.MaxPool2d(2),
            *_layer(2 * width, 3 * width), nn.Flatten(),
        )  # fmt: skip
        self.judge = nn.Sequential(
            nn.Linear(3 * width * (ROWS // 4) * (COLUMNS // 4), 48),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(48, 1),
        )

    def forward(self, eyes: Tensor) -> Tensor:
        """Luma (batch, ROWS, COLUMNS), 0 to 255 → openings (batch,)."""
        found: Tensor = self.judge(self.look(standardised(eyes)[:, None]))
        return found[:, 0] * _UNIT


def standardised(eyes: Tensor) -> Tensor:
    """Without the picture's own brightness and contrast; flat ones stay flat."""
    centred = eyes - eyes.mean((1, 2), keepdim=True)
    return centred / centred.square().mean((1, 2), keepdim=True).sqrt().clamp(min=4.0)


def _layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def opened(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean distance of the lids in (pictures, POINTS, 2), right and left eye, shape (pictures, 2),
    in distances between the eyes."""
    apart = np.linalg.norm(
        points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1), axis=1
    )
    lids = [
        np.linalg.norm(points[:, eye][:, 1:8] - points[:, eye][:, 15:8:-1], axis=2).mean(axis=1)
        for eye in (RIGHT_EYE, LEFT_EYE)
    ]
    return np.asarray(np.stack(lids, 1) / apart[:, None], np.float64)


def watch(file: FaceFile, labels: Path, cascade: Cascade, landmarker: Landmarker) -> EyeClip | None:
    """The eyes of a file as the service follows them; None where it or the teacher sees none."""
    known = labels / f"{file.path.stem}.npz"
    if not known.exists():
        return None
    with np.load(known) as found:
        times, points = found["times"], found["points"]
    openings = opened(points)
    faces, marks = FaceTracker(cascade), LandmarkTracker(landmarker)
    rows: list[tuple[float, NDArray[np.uint8], NDArray[np.float64], NDArray[np.float32]]] = []
    for time, image in pictures(file.path, 30.0):
        frame = faces.look(VideoFrame("", time, image), lambda: False)
        if frame.found or frame.lost:
            marks.restart()
        seen = marks.look(image, frame.face.landmarks if frame.face is not None else None)
        row = int(np.abs(times - time).argmin())
        if seen is None or abs(times[row] - time) > 1e-3:
            continue
        ours, teachers = five_points(seen.points), five_points(points[row])
        apart = float(np.hypot(*(ours[1] - ours[0])))
        if float(np.abs(ours - teachers).max()) < _APART * apart:
            rows.append((time, eyes(image, seen.points), openings[row], seen.points))
    if not rows:
        return None
    return EyeClip(
        file,
        np.array([row[0] for row in rows]),
        np.stack([row[1] for row in rows]),
        np.stack([row[2] for row in rows]),
        np.stack([row[3] for row in rows]),
    )


def fit(clips: Sequence[EyeClip], steps: int = STEPS, seed: int = 0) -> EyeNet:
    """Train a network on clips; photographs and clips of one person weigh by the square root of
    how many pictures they have."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    shown = torch.from_numpy(np.concatenate([c.eyes for c in clips]).reshape(-1, ROWS, COLUMNS))
    wanted = np.concatenate([c.openings for c in clips]).reshape(-1)
    clip = np.repeat(np.arange(len(clips)), [2 * len(c.times) for c in clips])
    share = _shares(wanted, clip)
    target = torch.from_numpy(wanted.astype(np.float32))
    net = EyeNet()
    optimiser = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps)
    for _ in range(steps):
        some = torch.from_numpy(rng.choice(len(wanted), BATCH, p=share))
        loss = functional.smooth_l1_loss(
            net(degraded(shown[some].float(), rng)) / _UNIT, target[some] / _UNIT
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return net.eval()


def _shares(openings: NDArray[np.float64], clip: NDArray[np.intp]) -> NDArray[np.float64]:
    """How often each eye is drawn: rare openings more often, and none for the many of its clip."""
    kind = np.digitize(openings, np.quantile(openings, _BINS))
    weight = np.zeros(len(openings))
    for number in range(int(clip.max()) + 1):
        inside = clip == number
        counts = np.bincount(kind[inside], minlength=len(_BINS) + 1)
        weight[inside] = 1 / np.sqrt(counts[kind[inside]] * inside.sum())
    return np.asarray(weight / weight.sum())


def degraded(eyes: Tensor, rng: np.random.Generator) -> Tensor:
    """As another camera, codec and landmarks would show them: off place, soft, noisy, lit aside."""
    count = len(eyes)

    def drawn(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal((count, *shape)).astype(np.float32))

    turn, scale = 0.08 * drawn(), torch.exp(0.08 * drawn())
    ratio = ROWS / COLUMNS
    maps = torch.stack(
        [
            torch.stack([scale * turn.cos(), -scale * turn.sin() * ratio, 0.06 * drawn()], 1),
            torch.stack([scale * turn.sin() / ratio, scale * turn.cos(), 0.1 * drawn()], 1),
        ],
        1,
    )
    grid = functional.affine_grid(maps, [count, 1, ROWS, COLUMNS], align_corners=False)
    moved = functional.grid_sample(eyes[:, None], grid, padding_mode="border", align_corners=False)
    if rng.random() < 0.4:
        small = functional.interpolate(moved, scale_factor=1 / int(rng.integers(2, 4)), mode="area")
        moved = functional.interpolate(small, size=EYE_SHAPE, mode="bilinear")
    flat = moved[:, 0]
    spread = flat.std((1, 2), keepdim=True)
    noise = (
        drawn(ROWS, COLUMNS)
        * spread
        * torch.from_numpy(rng.uniform(0, 0.2, (count, 1, 1)).astype(np.float32))
    )
    aside = torch.linspace(-1, 1, COLUMNS) * drawn(1, 1) * 0.3 * spread
    return flat + noise + aside
