"""Many recordings in one file: int16 samples back to back, and a table of where each begins."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.types import Waveform

Pcm = NDArray[np.int16]
Row = dict[str, Any]
"""What is known about a recording; JSON values only."""
_SCALE = 32_767


def to_pcm(samples: Waveform) -> Pcm:
    """Round to 16 bit, clipping."""
    rounded: Pcm = np.rint(np.clip(samples, -1, 1) * _SCALE).astype(np.int16)
    return rounded


def from_pcm(pcm: Pcm) -> Waveform:
    """Back to [-1, 1]."""
    return pcm.astype(np.float32) / np.float32(_SCALE)


class AudioStore:
    """Read access to recordings written with `write`; several stores are one after the other."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.rows: list[Row] = []
        self._at: list[tuple[int, int]] = []
        for part, name in enumerate(names):
            rows = json.loads((folder / f"{name}.json").read_text())["rows"]
            self.rows += rows
            ends = np.cumsum([row["samples"] for row in rows], dtype=np.int64)
            self._at += [(part, int(end)) for end in ends]
        self._files = [folder / f"{name}.i16" for name in names]
        self._audio: dict[int, Pcm] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def pcm(self, index: int) -> Pcm:
        """The whole recording, shape (samples,)."""
        part, end = self._at[index]
        if part not in self._audio:
            self._audio[part] = np.memmap(self._files[part], np.int16, "r")
        return self._audio[part][end - self.rows[index]["samples"] : end]


def exists(folder: Path, name: str) -> bool:
    """Whether a store was written to its end."""
    return (folder / f"{name}.json").exists()


def write(folder: Path, name: str, items: Iterable[tuple[Mapping[str, Any], Pcm]]) -> AudioStore:
    """Write recordings in order; the table is written last, so a broken run leaves no store."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with (folder / f"{name}.i16").open("wb") as file:
        for row, pcm in items:
            file.write(pcm.tobytes())
            rows.append({**row, "samples": len(pcm)})
    partial = folder / f"{name}.json.part"
    partial.write_text(json.dumps({"rows": rows}))
    partial.rename(folder / f"{name}.json")
    return AudioStore(folder, name)


def ensure(
    folder: Path, name: str, items: Callable[[], Iterable[tuple[Mapping[str, Any], Pcm]]]
) -> AudioStore:
    """Open the store, writing it first if it is not there."""
    return AudioStore(folder, name) if exists(folder, name) else write(folder, name, items())
