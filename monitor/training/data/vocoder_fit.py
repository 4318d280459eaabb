"""Fitting the small vocoders on the human speech of the training split: resumable, on a CPU."""

import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from monitor.training.data.clips import Split
from monitor.training.data.precision import autocast
from monitor.training.data.store import AudioStore, from_pcm
from monitor.training.data.vocoder import VOCODERS, Discriminator, Vocoder, spectral_distance
from monitor.types import Waveform

_log = logging.getLogger(__name__)
CROP = 12_800
"""Samples of a training example: 0.8 s, whole frames at every hop."""
BATCH = 10
STEPS = 2_000
PLAIN_STEPS = 1_500
"""Steps by spectral distance alone; a vocoder with a discriminator meets it afterwards."""
RATE = 6e-4
SAVE_EVERY = 200


class Crops:
    """Random stretches of human training speech at about unit peak."""

    def __init__(self, speech: AudioStore) -> None:
        self._speech = speech
        self._rows = [
            index
            for index, row in enumerate(speech.rows)
            if row["split"] == Split.TRAIN and not row["fake"] and row["samples"] >= CROP
        ]

    def batch(self, rng: np.random.Generator) -> Tensor:
        """Examples, shape (BATCH, CROP)."""
        out = []
        for _ in range(BATCH):
            pcm = self._speech.pcm(self._rows[int(rng.integers(len(self._rows)))])
            start = int(rng.integers(len(pcm) - CROP + 1))
            out.append(unit_peak(from_pcm(pcm[start : start + CROP])))
        return torch.from_numpy(np.stack(out))


def unit_peak(samples: Waveform) -> Waveform:
    """The level at which vocoders work: highest peak 0.8."""
    peak = float(np.abs(samples).max(initial=0))
    return samples * np.float32(0.8 / max(peak, 1e-4))


def fit_vocoder(speech: AudioStore, folder: Path, name: str, threads: int = 1) -> Path:
    """Fit one of VOCODERS, or go on from its checkpoint; return the file of its weights."""
    torch.set_num_threads(threads)
    torch.manual_seed(sorted(VOCODERS).index(name))
    shape = VOCODERS[name]
    vocoder, judge = Vocoder(shape), Discriminator()
    makers = torch.optim.AdamW(vocoder.parameters(), RATE, betas=(0.8, 0.99))
    judges = torch.optim.AdamW(judge.parameters(), RATE, betas=(0.8, 0.99))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"vocoder-{name}.pt"
    step = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        step = int(state["step"])
        for part, key in ((vocoder, "vocoder"), (judge, "judge"), (makers, "a"), (judges, "b")):
            part.load_state_dict(state[key])
    crops = Crops(speech)
    began, first = time.monotonic(), step
    while step < STEPS:
        true = crops.batch(np.random.default_rng([step, sorted(VOCODERS).index(name)]))
        for group in makers.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 200) * (1 - 0.9 * step / STEPS)
        if step < PLAIN_STEPS or not shape.adversarial:
            distance = _improve(vocoder, makers, true)
        else:
            distance = _contest(vocoder, judge, makers, judges, true)
        step += 1
        if step % SAVE_EVERY == 0 or step == STEPS:
            pace = (time.monotonic() - began) / (step - first)
            _log.info("%s step %d distance %.3f (%.2f s a step)", name, step, distance, pace)
            state = {"step": step, "vocoder": vocoder.state_dict(), "judge": judge.state_dict()}
            state |= {"a": makers.state_dict(), "b": judges.state_dict()}
            torch.save(state, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
    return path


def load_vocoder(path: Path, name: str) -> Vocoder:
    """A fitted vocoder, in evaluation mode."""
    vocoder = Vocoder(VOCODERS[name])
    vocoder.load_state_dict(torch.load(path, weights_only=True)["vocoder"])
    return vocoder.eval()


def resynthesise(vocoder: Vocoder, samples: Waveform) -> Waveform:
    """Copy-synthesis of a recording, same length and about the same level."""
    with torch.no_grad():
        made: Waveform = vocoder(torch.from_numpy(unit_peak(samples))[None])[0].numpy()
    return made * np.float32(max(float(np.abs(samples).max(initial=0)), 1e-4) / 0.8)


def _improve(vocoder: Vocoder, makers: torch.optim.Optimizer, true: Tensor) -> float:
    with autocast():
        made = vocoder(true)
    distance = spectral_distance(made.float(), true)
    _descend(makers, vocoder, distance)
    return distance.item()


def _contest(
    vocoder: Vocoder,
    judge: Discriminator,
    makers: torch.optim.Optimizer,
    judges: torch.optim.Optimizer,
    true: Tensor,
) -> float:
    """One step of both sides: hinge losses, and feature matching for the vocoder."""
    with autocast():
        made = vocoder(true).float()
        real, wanted = judge(true)
        fake, _ = judge(made.detach())
    pairs = zip(real, fake, strict=True)
    loss = sum(functional.relu(1 - r).mean() + functional.relu(1 + f).mean() for r, f in pairs)
    assert isinstance(loss, Tensor)
    _descend(judges, judge, loss)
    with autocast():
        fake, found = judge(made)
    distance = spectral_distance(made, true)
    fooled = sum(-f.float().mean() for f in fake)
    pairs = zip(found, wanted, strict=True)
    matching = sum(functional.l1_loss(f.float(), w.detach().float()) for f, w in pairs)
    _descend(makers, vocoder, 10 * distance + fooled + 2 * matching)
    return distance.item()


def _descend(optimiser: torch.optim.Optimizer, network: torch.nn.Module, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimiser.step()
