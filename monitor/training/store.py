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
    """Read access to recordings written with `write`."""

    def __init__(self, folder: Path, name: str) -> None:
        table = json.loads((folder / f"{name}.json").read_text())
        self.name = name
        self.rows: list[Row] = table["rows"]
        self._ends = np.cumsum([row["samples"] for row in self.rows], dtype=np.int64)
        self._audio: Pcm | None = None
        self._file = folder / f"{name}.i16"

    def __len__(self) -> int:
        return len(self.rows)

    def pcm(self, index: int) -> Pcm:
        """The whole recording, shape (samples,)."""
        if self._audio is None:
            self._audio = np.memmap(self._file, np.int16, "r")
        end = int(self._ends[index])
        return self._audio[end - self.rows[index]["samples"] : end]


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
