"""An arm that leaves a source out is judged on that source."""

from typing import Any

import numpy as np
import pytest
import torch

from monitor.training.data.clips import Split
from monitor.training.data.store import AudioStore
from monitor.training.measure import ablation
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table


class Judged:
    """What a DevelopmentSet is asked for: windows of one source, which the network scores."""

    def __init__(self, speech: AudioStore | None, split: Split, source: str) -> None:
        self.split, self.source = split, source

    def table(self, network: torch.nn.Module) -> Table:
        better = float(next(network.parameters()).detach().sum())
        rng = np.random.default_rng(0)
        rows = [
            (f"{fake}-{n}", self.source, f"s{n % 6}", bool(fake), f"g{n % 4}" if fake else "",
             "tts" if fake else "human", self.split.value, channel, 0.0, 3.0,
             better * fake + rng.normal())
            for channel in CHANNELS for fake in (0, 1) for n in range(24)
        ]  # fmt: skip
        return {
            name: np.array(column)
            for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)
        }


def network(weight: float) -> torch.nn.Module:
    made = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(made.weight, weight)
    return made


def test_the_source_that_an_arm_left_out_is_held_out_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ablation, "DevelopmentSet", Judged)
    development = Judged(None, Split.DEV, "dev")
    line = _rung("without source page 1", 1.0, development)
    for channel in CHANNELS:
        assert 0.2 < line[channel]["eer"] < 0.45
        assert line[channel]["difference"] > 0.1
    base = _rung("base", 4.0, development)
    assert base[CHANNELS[0]]["eer"] < 0.1
    assert "difference" not in base[CHANNELS[0]]


def _rung(name: str, weight: float, development: Judged) -> dict[str, Any]:
    trained, base = network(weight), network(4.0)
    return ablation.rung(name, trained, base, development, None)  # type: ignore[arg-type]
