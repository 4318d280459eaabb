"""Canonical correlation of lips and voice: the most two linear views agree, in closed form."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.detectors.mouth import HZ, STEPS, standardised, steady
from monitor.training.face.lips.lips_data import Ready
from monitor.training.face.lips.lips_network import OPENINGS
from monitor.types import SOUND_BANDS, SOUND_HZ
from monitor.types.sampling import Pace

VIEWS = 6
"""Pairs of directions that are kept."""
AROUND = 2
"""Steps before and after that a vector of lips knows of."""
HEARD = 6
"""Steps before and after that a vector of voice knows of."""
RIDGE = 0.03
"""Share of the mean variance added to every direction: few people, correlated bands."""
_RATES = (10.0, 15.0, 25.0)


class SyncLinear(nn.Module):
    """Two convolutions; takes and gives what SyncLite does, and never looks at pictures."""

    def __init__(self, views: int = VIEWS) -> None:
        super().__init__()
        self.shape = nn.Conv1d(OPENINGS, views, 2 * AROUND + 1, padding=AROUND, bias=False)
        self.sound = nn.Conv1d(SOUND_BANDS, views, 2 * HEARD + 1, padding=HEARD, bias=False)

    def lips(self, mouths: Tensor, openings: Tensor) -> Tensor:
        """(batch, pictures, OPENINGS) → (batch, pictures, views)."""
        found: Tensor = self.shape(openings.transpose(1, 2)).transpose(1, 2)
        return found

    def voice(self, sound: Tensor) -> Tensor:
        """(batch, frames, SOUND_BANDS) → (batch, frames / STEPS, views)."""
        found: Tensor = self.sound(nn.functional.avg_pool1d(sound.transpose(1, 2), STEPS))
        return found.transpose(1, 2)

    def forward(self, mouths: Tensor, openings: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of lips and voice."""
        return self.lips(mouths, openings), self.voice(sound)


def fit_linear(clips: Sequence[Ready], views: int = VIEWS) -> SyncLinear:
    """Regularised canonical correlation analysis (Hotelling 1936) over all people's steps."""
    lips, voice = (np.concatenate(side) for side in zip(*_steps(clips), strict=True))
    inner_lips, inner_voice = _whitener(lips), _whitener(voice)
    between = inner_lips.T @ (lips.T @ voice / len(lips)) @ inner_voice
    left, strength, right = np.linalg.svd(between)
    # Each pair counts as much as it agrees.
    root = np.sqrt(strength[:views])
    network = SyncLinear(views)
    seen = (inner_lips @ left[:, :views] * root).T.reshape(views, -1, OPENINGS)
    heard = (inner_voice @ right[:views].T * root).T.reshape(views, -1, SOUND_BANDS)
    with torch.no_grad():
        network.shape.weight.copy_(torch.from_numpy(seen.transpose(0, 2, 1).copy()))
        network.sound.weight.copy_(torch.from_numpy(heard.transpose(0, 2, 1).copy()))
    return network.eval()


def _whitener(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    covariance = rows.T @ rows / len(rows)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors / np.sqrt(values))


def _steps(clips: Sequence[Ready]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """What both sides know at each step, at several picture rates and through several lines."""
    for ready in clips:
        clip = ready.clip
        steps = int(ready.seconds * HZ)
        at = ready.begin + np.arange(steps) / HZ
        first = round((ready.begin - clip.begin) * SOUND_HZ)
        for number, fps in enumerate(_RATES):
            sound = ready.sounds[number % len(ready.sounds)]
            pace = Pace(lambda _, fps=fps: fps)  # type: ignore[misc]
            rows = np.array([i for i, time in enumerate(clip.times) if pace.due(time)])
            shape = standardised(steady(clip.times[rows], ready.openings[rows], at))
            frames = np.clip(first + np.arange(steps * STEPS), 0, len(sound) - 1)
            heard = standardised(sound[frames]).reshape(steps, STEPS, -1).mean(axis=1)
            yield _around(shape, AROUND), _around(heard, HEARD)


def _around(values: NDArray[np.float32], reach: int) -> NDArray[np.float64]:
    """Each step's surroundings, as a convolution sees them, shape (steps, lengths * columns)."""
    padded = np.pad(values, ((reach, reach), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.asarray(windows.transpose(0, 2, 1).reshape(len(values), -1), np.float64)
