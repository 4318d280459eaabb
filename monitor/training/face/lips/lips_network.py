"""SyncLite: lips and voice → vectors that agree where they belong together."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.types import MOUTH_SHAPE, SOUND_BANDS

WIDTH = 32
"""Numbers in a vector of lips or voice."""
OPENINGS = 7
"""Distances between landmarks that describe a mouth's shape."""
ROWS, COLUMNS = (side // 2 for side in MOUTH_SHAPE)
"""Of what the network sees of a mouth."""


class Lips(nn.Module):
    """What moves in pictures of a mouth, and its shape, at a steady rate → a vector a picture."""

    def __init__(self, dropout: float = 0.2, patches: bool = True) -> None:
        super().__init__()
        self.patch = nn.Sequential(*_down(1, 16), *_down(16, 32), nn.Flatten(), nn.Dropout(dropout))
        self.flat = nn.Linear(32 * ROWS // 4 * COLUMNS // 4, 48)
        self._patches = patches
        self.motion = nn.Sequential(
            nn.Conv1d(48 + OPENINGS, 64, 5, padding=2),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(64, 64, 5, padding=2),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Conv1d(64, WIDTH, 1),
        )

    def forward(self, mouths: Tensor, openings: Tensor) -> Tensor:
        """(batch, pictures, ROWS, COLUMNS), (batch, pictures, OPENINGS) → (.., .., WIDTH).

        Without patches, `mouths` may have any shape.
        """
        batch, pictures, _ = openings.shape
        if self._patches:
            seen = self.flat(self.patch(mouths.reshape(-1, 1, ROWS, COLUMNS)))
            seen = seen.reshape(batch, pictures, 48)
        else:
            seen = openings.new_zeros(batch, pictures, 48)
        shape = torch.cat([seen, openings], 2).transpose(1, 2)
        return functional.normalize(self.motion(shape).transpose(1, 2), dim=2)


class Voice(nn.Module):
    """Log power in mel bands → a vector for every fourth frame."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(SOUND_BANDS, 48, 5, stride=2, padding=2),
            nn.BatchNorm1d(48),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(48, 64, 5, stride=2, padding=2),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(64, 64, 7, padding=3),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Conv1d(64, WIDTH, 1),
        )

    def forward(self, sound: Tensor) -> Tensor:
        """(batch, frames, SOUND_BANDS) → (batch, frames / 4, WIDTH)."""
        return functional.normalize(self.layers(sound.transpose(1, 2)).transpose(1, 2), dim=2)


class SyncLite(nn.Module):
    """Both, so that one file holds what is compared."""

    def __init__(self, dropout: float = 0.2, patches: bool = True) -> None:
        super().__init__()
        self.lips = Lips(dropout, patches)
        self.voice = Voice(dropout)
        self.warmth = nn.Parameter(torch.tensor(2.5))
        """Logarithm of what agreement is multiplied with in training."""

    def forward(self, mouths: Tensor, openings: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of lips (batch, pictures, WIDTH) and voice (batch, frames / 4, WIDTH)."""
        return self.lips(mouths, openings), self.voice(sound)


def agreement(lips: Tensor, voice: Tensor) -> Tensor:
    """Mean agreement of all lips with all voices at all circular delays.

    (lips, time, WIDTH) and (voices, time, WIDTH) → (lips, voices, time); entry `k` of the last
    axis compares lips with what was heard `k` steps later.
    """
    time = lips.shape[1]
    each = torch.einsum("itd,jsd->ijts", lips, voice)
    at = torch.arange(time)
    delayed = (at[:, None] + at[None, :]) % time
    return each.gather(3, delayed.expand(*each.shape[:2], -1, -1)).mean(2)


def contrast(lips: Tensor, voice: Tensor, warmth: Tensor, near: int, far: int) -> Tensor:
    """Own sound near zero delay against own sound at least `far` steps away and others' sound.

    InfoNCE (van den Oord et al. 2018) with a soft maximum over |delay| <= `near`: recordings are
    themselves a picture or so out of step.
    """
    found = agreement(lips, voice) * warmth.exp()
    batch, _, time = found.shape
    delay = torch.minimum(torch.arange(time), time - torch.arange(time))
    own = found[torch.arange(batch), torch.arange(batch)]
    positive = torch.logsumexp(own[:, delay <= near], 1)
    shifted = torch.logsumexp(own[:, delay >= far], 1)
    others = found.masked_fill(torch.eye(batch, dtype=torch.bool)[:, :, None], -torch.inf)
    exchanged = torch.logsumexp(others.flatten(1), 1)
    log_count = torch.log(torch.tensor(float(2 * near + 1)))
    nulls = torch.stack(
        [
            shifted - torch.log((delay >= far).sum().float()),
            exchanged - torch.log(torch.tensor(float((batch - 1) * time))),
        ]
    )
    # Each kind of mismatch counts as one alternative per few steps, so neither drowns the other.
    return functional.softplus(nulls + 2.0 - (positive - log_count)).mean()


def _down(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
