"""The second look as training sees it: Whisper's lower blocks, tuned under a head of statistics.

The published encoder was made to say what is said; tuning it on voices and imitations begins where
the linear rule on the frozen features ends (arXiv 2306.01428 tunes the smallest encoder whole). On
as few pages as there are it learns them by heart: models/voice/card.md.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.training.data.library import Library
from monitor.training.second.features import Features
from monitor.training.second.second_look import Head
from monitor.training.second.whisper import BLOCKS, FEATURES, WIDTH, Encoder
from monitor.training.voice.batches import BatchPlan
from monitor.training.voice.network import DIRECTIONS, Headed, Heads
from monitor.training.voice.train import Judge, Trainer, TrainingPlan

BATCH = BatchPlan(groups=8, seconds=(1.0, 2.6), from_source=0.65, from_copies=0.2)
"""Shorter windows than are scored: twice as many fit into the time. Fewer resyntheses than the
first network gets: its spectrum ends where a vocoder's texture begins."""
RATE = 1e-4
SEED = 3
UNBOUNDED = 10**6
"""Steps: the minutes end a run."""
JUDGE_MINUTES = 18.0
"""The encoder takes more than a minute over the development windows."""


class Listener(Headed):
    """As `VoiceNetwork`: waveform → logit, and the heads that training has."""

    offset: Tensor
    scale: Tensor

    def __init__(self, encoder: Encoder, families: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        size = BLOCKS * FEATURES
        # The encoder's numbers differ a thousandfold in size; one rate of training has to do.
        self.register_buffer("offset", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.drop = nn.Dropout(0.1)
        self.score = nn.Linear(size, 1)
        self.family = nn.Linear(size, families)
        self.direction = nn.Linear(size, DIRECTIONS)
        self.frames = nn.Linear(WIDTH, 1)

    def begin(self, head: Head, features: Features) -> None:
        """Take over a rule that was fitted on the frozen encoder's features."""
        flat = features.values.reshape(-1, features.values.shape[-1])
        mean, spread = flat.mean(0), flat.std(0) + 1e-6
        with torch.no_grad():
            self.offset.copy_(torch.from_numpy(mean))
            self.scale.copy_(torch.from_numpy(1 / spread))
            self.score.weight.copy_(torch.from_numpy(head.weight * spread)[None])
            self.score.bias.fill_(head.constant + float(mean.astype(np.float64) @ head.weight))

    def for_families(self, families: int) -> "Listener":
        """The same with a new family head."""
        network = copy.deepcopy(self)
        network.family = nn.Linear(self.score.in_features, families)
        return network

    def front(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → log-mel spectrum (batch, 1, bands, frames)."""
        return self.encoder.spectrum(waveform).unsqueeze(1)

    def heads(self, spectrum: Tensor) -> Heads:
        """All heads of a spectrum (batch, 1, bands, frames)."""
        features, last = self.encoder.listen(spectrum.squeeze(1))
        pooled = self.drop((features - self.offset) * self.scale)
        return Heads(
            self.score(pooled).squeeze(1),
            self.family(pooled),
            functional.normalize(self.direction(pooled), dim=1),
            self.frames(last / last.shape[2] ** 0.5).squeeze(2),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (batch, samples) → logit (batch,); what is exported."""
        features, _ = self.encoder.listen(self.encoder.spectrum(waveform))
        logit: Tensor = self.score((features - self.offset) * self.scale).squeeze(1)
        return logit


def tune(
    network: Listener, library: Library, folder: Path, minutes: float, threads: int, judge: Judge
) -> None:
    """Train in a folder for so many minutes in all, or go on from its last checkpoint.

    What the judge likes best is kept there as `best.pt`.
    """
    plan = TrainingPlan(
        steps=UNBOUNDED,
        minutes=minutes,
        rate=RATE,
        seed=SEED,
        threads=threads,
        judge_minutes=JUDGE_MINUTES,
    )
    Trainer(library, folder, plan, BATCH, network=network.for_families).run(judge)


def load_listener(path: Path) -> Listener:
    """The averaged network of a checkpoint, in evaluation mode."""
    state = torch.load(path, weights_only=True)
    network = Listener(Encoder(), len(state["families"]))
    network.load_state_dict(state["average"])
    return network.eval()
