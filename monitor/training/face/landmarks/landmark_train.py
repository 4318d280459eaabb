"""Distils the landmark network from the teacher's labels; resumable."""

import argparse
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monitor.training.face.landmarks import teacher
from monitor.training.face.landmarks.landmark_batch import Batch, batch
from monitor.training.face.landmarks.landmark_data import Patches, cut, load_patches, set_aside
from monitor.training.face.landmarks.landmark_net import Found, LandmarkNet
from monitor.training.face.pictures.album import read_album
from monitor.types.landmarks import (
    INNER_LIPS,
    LEFT_EYE,
    LEFT_IRIS,
    OUTER_LIPS,
    OVAL,
    POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
)

_log = logging.getLogger(__name__)
WORK = Path("build/faces/landmarks")
CHECKPOINT = "checkpoint.pt"
BATCH = 64
RATE = 2e-3
_DECAY = 1e-4
_POSE, _FACE = 0.05, 0.3
"""Weights beside the points' loss."""
_FINE, _COARSE = 2.0, 0.6
"""Weights of lids, irises and lips, and of the outline, beside the rest."""
_SHARP = 100.0
"""Points' errors in hundredths of the crop: one is about a pixel of the network's input."""
_SOFT = 0.3
"""Below so many hundredths the loss is quadratic: what the teacher itself is sure of."""


def _weights() -> Tensor:
    weights = torch.ones(POINTS)
    for region in (RIGHT_EYE, LEFT_EYE, RIGHT_IRIS, LEFT_IRIS, OUTER_LIPS, INNER_LIPS):
        weights[region] = _FINE
    weights[OVAL] = _COARSE
    return weights / weights.mean()


_WEIGHTS = _weights()


def loss(found: Found, true: Batch) -> Tensor:
    """Distance of the points and the pose where there is a face, and whether there is one."""
    error = nn.functional.smooth_l1_loss(
        found.points * _SHARP, true.points * _SHARP, reduction="none", beta=_SOFT
    ).sum(dim=2)
    shown = true.face / true.face.sum().clamp(min=1)
    points = ((error * _WEIGHTS).mean(dim=1) * shown).sum()
    pose = ((found.pose - true.pose).abs().mean(dim=1) * shown).sum()
    face = nn.functional.binary_cross_entropy_with_logits(found.face, true.face)
    return points + _POSE * pose + _FACE * face


class LandmarkTrainer:
    """One run; goes on where a checkpoint stopped."""

    def __init__(self, patches: Patches, folder: Path, steps: int) -> None:
        self._patches = patches
        self._path = folder / CHECKPOINT
        self._steps = steps
        self.net = LandmarkNet()
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(self.net.parameters(), RATE, weight_decay=_DECAY)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, RATE, total_steps=steps + 1, pct_start=0.05
        )
        self.step = 0
        if self._path.exists():
            kept: dict[str, Any] = torch.load(self._path, weights_only=True)
            self.net.load_state_dict(kept["net"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self._schedule.load_state_dict(kept["schedule"])
            self.step = kept["step"]

    def run(self) -> None:
        """Train to the last step; keeps a checkpoint every minute."""
        self.net.train()
        saved = time.monotonic()
        recent = []
        # People, not pictures, are drawn: a long clip must not outweigh a photograph tenfold.
        groups, member = np.unique(self._patches.group, return_inverse=True)
        share = np.bincount(member)[member] ** -0.5
        share = share / share.sum()
        _log.info("%d patches of %d people", len(member), len(groups))
        while self.step < self._steps:
            rng = np.random.default_rng([7, self.step])
            true = batch(self._patches, rng.choice(len(share), BATCH, p=share), rng)
            # Not in bfloat16: cores that have no instructions for it take ten times as long.
            out = self.net(true.crops.contiguous(memory_format=torch.channels_last))
            value = loss(out, true)
            self._optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            self._optimiser.step()
            self._schedule.step()
            self.step += 1
            recent.append(value.item())
            if self.step % 100 == 0:
                _log.info("step %d loss %.3f", self.step, float(np.mean(recent)))
                recent = []
            if time.monotonic() - saved > 60 or self.step == self._steps:
                self.save()
                saved = time.monotonic()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "net": self.net.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "step": self.step,
        }
        torch.save(state, self._path.with_suffix(".tmp"))
        self._path.with_suffix(".tmp").replace(self._path)


def train(data: Path, labels: Path, work: Path, steps: int, threads: int) -> None:
    """Cut the patches once and train on the people who do not test."""
    torch.set_num_threads(threads)
    torch.manual_seed(7)
    kept = work / "patches.npz"
    if not kept.exists():
        work.mkdir(parents=True, exist_ok=True)
        files = [f for f in read_album(data) if f.split == "train" and not set_aside(f.group)]
        cut(files, labels).save(kept)
    LandmarkTrainer(load_patches(kept), work, steps).run()


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("landmarks-train", help="distil the landmark network")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--labels", type=Path, default=teacher.WORK)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=lambda o: train(o.data, o.labels, o.work, o.steps, o.threads))
