"""Equal short runs that differ in one thing: what each part of the recipe is worth.

Every run starts from nothing, goes through the same number of steps, and is measured on the
development sources, never on the test ones. Runs resume, and finished ones are not repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from monitor.training.channels.channel import ChannelOdds
from monitor.training.data.clips import Split
from monitor.training.data.library import Library
from monitor.training.data.store import AudioStore
from monitor.training.measure.evaluate import paired_report
from monitor.training.measure.judge import DevelopmentSet
from monitor.training.measure.peer import compared
from monitor.training.measure.scoring import CHANNELS, Table
from monitor.training.voice.batches import BatchPlan
from monitor.training.voice.lcnn import LightNetwork
from monitor.training.voice.network import VoiceNetwork
from monitor.training.voice.objective import ObjectiveWeights
from monitor.training.voice.train import Trainer, TrainingPlan

BASE = "base"
WITHOUT_FAMILY, WITHOUT_SOURCE = "without family ", "without source "
"""Beginnings of the names of arms that leave a family of generators, or a source, out."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train."""

    batch: BatchPlan = BatchPlan()
    weights: ObjectiveWeights = ObjectiveWeights()
    optimiser: str = "adamw"
    light: bool = False
    """The light CNN on cepstra instead of the network that ships."""


_QUIET = ChannelOdds(*[0.0] * len(ChannelOdds.__slots__))
ARMS: Mapping[str, Arm] = {
    BASE: Arm(),
    "unpaired": Arm(BatchPlan(paired=False)),
    "no channel": Arm(BatchPlan(odds=_QUIET)),
    "no copies": Arm(BatchPlan(from_copies=0.0)),
    "no half-fakes": Arm(BatchPlan(bands=0.0, splices=0.0)),
    "no ranking": Arm(weights=ObjectiveWeights(ranking=0.0)),
    "one-class": Arm(weights=ObjectiveWeights(one_class=0.5)),
    "contrast": Arm(weights=ObjectiveWeights(contrast=0.5)),
    "frames": Arm(weights=ObjectiveWeights(frames=0.3)),
    "all losses": Arm(weights=ObjectiveWeights(one_class=0.5, contrast=0.5, frames=0.3)),
    "sgd": Arm(optimiser="sgd"),
    "sam": Arm(optimiser="sam"),
    "lcnn": Arm(light=True),
}


def left_out(library: Library, name: str) -> Library:
    """The library less what the arm's name says is left out."""
    family = name.removeprefix(WITHOUT_FAMILY) if name.startswith(WITHOUT_FAMILY) else None
    source = name.removeprefix(WITHOUT_SOURCE) if name.startswith(WITHOUT_SOURCE) else None
    if family is not None and family not in library.families:
        raise ValueError(f"no family {family!r}; there are {library.families}")
    if source is not None and source not in library.origins:
        raise ValueError(f"no training source {source!r}")
    return library.less(family, source)


def train_arm(library: Library, folder: Path, name: str, plan: TrainingPlan) -> nn.Module:
    """The averaged network of an arm, trained to the end of its steps where it was not yet."""
    arm = ARMS.get(name, Arm())
    trainer = Trainer(
        left_out(library, name),
        folder / f"{_slug(name)}-{plan.steps}-{plan.seed}",
        replace(plan, optimiser=arm.optimiser),
        arm.batch,
        arm.weights,
        network=LightNetwork if arm.light else VoiceNetwork,
    )
    trainer.run()
    return trainer.averaged


def rung(
    name: str, trained: nn.Module, base: nn.Module, development: DevelopmentSet, speech: AudioStore
) -> dict[str, Any]:
    """An arm's error rates, and their difference from the base, on windows that neither heard:
    of the source that the arm left out, of the family, or of all development sources."""
    judged = development
    if name.startswith(WITHOUT_SOURCE):
        judged = DevelopmentSet(speech, Split.TRAIN, name.removeprefix(WITHOUT_SOURCE))
    tables = [judged.table(network) for network in (trained, base)]
    for table in tables:
        # The source that the arm left out is held out as far as the arm is concerned.
        table["split"] = np.full(len(table["split"]), str(Split.DEV))
    if name.startswith(WITHOUT_FAMILY):
        tables = [families_of(table, name.removeprefix(WITHOUT_FAMILY)) for table in tables]
    ours, others = tables
    line: dict[str, Any] = {"arm": name}
    for channel in CHANNELS:
        found = paired_report(ours, channel, Split.DEV)["window"]
        line[channel] = {key: found[key] for key in ("eer", "interval", "auc")}
        if name != BASE:
            other = compared(ours, others, channel, split=Split.DEV)
            line[channel]["difference"] = other["difference"]
            line[channel]["difference_interval"] = other["interval"]
    return line


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """The ladder as a table: EER in %, and the difference from base in points."""
    rows = [f"| arm | seed | {' | '.join(CHANNELS)} | less base: {', '.join(CHANNELS)} |"]
    rows.append("|---|---|" + "---|" * (len(CHANNELS) + 1))
    for line in lines:
        found = [line[channel] for channel in CHANNELS]
        cells = [_with_interval(it["eer"], it["interval"]) for it in found]
        less = [
            _with_interval(it["difference"], it["difference_interval"], "+")
            for it in found
            if "difference" in it
        ]
        rows.append(f"| {line['arm']} | {line['seed']} | {' | '.join(cells)} | {', '.join(less)} |")
    return "\n".join(rows)


def families_of(table: Table, family: str) -> Table:
    """Humans, and the fakes of one family only."""
    rows = ~table["fake"].astype(bool) | (table["family"] == family)
    return {column: values[rows] for column, values in table.items()}


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def _with_interval(value: float, interval: Sequence[float], sign: str = "") -> str:
    low, high = (100 * np.asarray(interval)).tolist()
    return f"{100 * value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"
