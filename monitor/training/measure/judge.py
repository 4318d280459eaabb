"""The development sources, measured while training to choose the checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from monitor.training.data.clips import Split
from monitor.training.data.library import activity
from monitor.training.data.store import AudioStore, Row, from_pcm
from monitor.training.data.windows import scoring_windows
from monitor.training.measure.metrics import area_under_curve, equal_error_rate
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table, through
from monitor.types import SAMPLE_RATE, Waveform

MIN_WINDOWS = 5
"""Of each label, for a source to count."""


@dataclass(frozen=True, slots=True)
class JudgedSource:
    """Which windows belong to one source, by label."""

    human: NDArray[np.intp]
    fake: NDArray[np.intp]


class DevelopmentSet:
    """The first full window of every development recording, in every channel."""

    def __init__(
        self,
        speech: AudioStore,
        split: Split = Split.DEV,
        source: str = "",
        channels: Sequence[str] = CHANNELS,
    ) -> None:
        """The recordings of a split, or those of one source of it, by each of the channels that
        `through` knows. ValueError: none is usable."""
        self.rows: list[Row] = []
        windows = []
        for index, row in enumerate(speech.rows):
            if row["split"] != split or source not in ("", row["source"]):
                continue
            samples = from_pcm(speech.pcm(index))
            window = next(scoring_windows(samples, activity(row)), None)
            if window is not None and len(window.samples) == 3 * SAMPLE_RATE:
                self.rows.append(row)
                windows.append(window.samples)
        self.sources = self._sources()
        if not self.sources:
            raise ValueError(f"no source of {split} has {MIN_WINDOWS} windows of either label")
        self._variants = {
            channel: np.stack([through(window, channel) for window in windows])
            for channel in channels
        }

    def _sources(self) -> list[JudgedSource]:
        names = np.array([row["source"] for row in self.rows])
        fake = np.array([bool(row["fake"]) for row in self.rows])
        found = [
            JudgedSource(*(np.flatnonzero((names == name) & (fake == label)) for label in (0, 1)))
            for name in np.unique(names)
        ]
        return [it for it in found if min(len(it.human), len(it.fake)) >= MIN_WINDOWS]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Which windows are synthetic, in the order of `rows`."""
        return np.array([bool(row["fake"]) for row in self.rows])

    def windows(self, channel: str) -> Waveform:
        """What a channel leaves of the windows, (windows, samples), in the order of `rows`."""
        return self._variants[channel]

    def scores(self, network: nn.Module) -> dict[str, Waveform]:
        """Logits by channel, in the order of `rows`."""
        return {name: torch_scores(network, it) for name, it in self._variants.items()}

    def table(self, network: nn.Module) -> Table:
        """The windows as `score_clips` gives them."""
        rows = [
            {name: row.get(name, 0.0) for name in COLUMNS}
            | {"clip": row["path"], "split": str(row["split"]), "channel": channel, "logit": logit}
            for channel, logits in self.scores(network).items()
            for row, logit in zip(self.rows, logits.tolist(), strict=True)
        ]
        return {name: np.array([row[name] for row in rows]) for name in COLUMNS}

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Macro within-source EER and AUC per channel; "objective" is 1 - mean AUC."""
        return self.judged(self.scores(network))

    def judged(self, scores: Mapping[str, Waveform]) -> dict[str, float]:
        """The figures of `measure` for scores in the order of `rows`."""
        found: dict[str, float] = {}
        for name, logit in scores.items():
            pairs = [(logit[it.human], logit[it.fake]) for it in self.sources]
            found[f"eer_{name}"] = float(np.mean([equal_error_rate(*pair) for pair in pairs]))
            found[f"auc_{name}"] = float(np.mean([area_under_curve(*pair) for pair in pairs]))
        found["objective"] = 1 - float(np.mean([found[f"auc_{name}"] for name in scores]))
        return found


def torch_scores(network: nn.Module, waveform: Waveform, size: int = 32) -> Waveform:
    """Logits of windows of equal length (windows, samples)."""
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(waveform[i : i + size])).numpy()
            for i in range(0, len(waveform), size)
        ]
    return np.concatenate(parts)
