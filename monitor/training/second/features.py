"""What the frozen encoder says of training windows: computed once, kept in shards.

A shard is one batch of the project's own batch maker at the length that the service scores, so
labels come in groups that share origin and channel. A run that was stopped goes on with the
shards that are missing.
"""

from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.training.data.prepare import load_library, open_speech
from monitor.training.data.windows import WINDOW_SECONDS
from monitor.training.second.whisper import Encoder, make_encoder, read_wheels
from monitor.training.voice.batches import BatchMaker, BatchPlan
from monitor.types import Waveform

PLAN = BatchPlan(seconds=(WINDOW_SECONDS, WINDOW_SECONDS), from_source=1.0, from_copies=0.0)
"""Groups of one source only. The encoder hears what is said, not a vocoder's texture: resyntheses
would teach the head nothing, and lone fakes against humans from elsewhere only their sources."""
SHARDS = 130
_state: tuple[BatchMaker, Encoder] | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """Windows in group order: per group first the human, then the synthetic ones."""

    values: NDArray[np.float32]
    """(groups, 2, pairs, features)"""


def encode(encoder: Encoder, waveform: Waveform, size: int = 16) -> NDArray[np.float32]:
    """Features of windows of one length (windows, samples), shape (windows, features)."""
    with torch.no_grad():
        parts = [
            encoder(torch.from_numpy(waveform[i : i + size])).numpy()
            for i in range(0, len(waveform), size)
        ]
    return np.concatenate(parts)


def cache_features(
    work: Path, wheels: Path, folder: Path, shards: int, processes: int = 2, seed: int = 11
) -> None:
    """Compute the shards 0 to `shards` - 1 that are not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(shards) if not _path(folder, i).exists()]
    if not missing:
        return
    with Pool(processes, _begin, (work, wheels, seed)) as pool:
        for _ in pool.imap_unordered(_shard, [(folder, i) for i in missing]):
            pass


def load_features(folder: Path, shards: int) -> Features:
    """The shards 0 to `shards` - 1; ValueError if one is not there."""
    paths = [_path(folder, number) for number in range(shards)]
    if missing := [path.name for path in paths if not path.exists()]:
        raise ValueError(f"{folder}: no {missing[0]}")
    parts = [np.load(path) for path in paths]
    shape = (-1, 2, PLAN.pairs, parts[0].shape[1])
    return Features(np.concatenate(parts).astype(np.float32).reshape(shape))


def _begin(work: Path, wheels: Path, seed: int) -> None:
    global _state
    torch.set_num_threads(1)
    library = load_library(work, open_speech(work))
    _state = BatchMaker(library, PLAN, seed), make_encoder(read_wheels(wheels))


def _shard(job: tuple[Path, int]) -> None:
    folder, number = job
    assert _state is not None
    maker, encoder = _state
    values = encode(encoder, maker.batch(number).waveform.numpy())
    partial = _path(folder, number).with_suffix(".part")
    with partial.open("wb") as file:
        np.save(file, values.astype(np.float16))
    partial.rename(_path(folder, number))


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.npy"
