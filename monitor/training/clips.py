"""The speech manifest: which clips exist, what they are, and which split each belongs to."""

import csv
import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SPLITS_FILE = Path(__file__).with_name("splits.toml")
COPY_MARK = " of "
"""A source named "<engine> of <source>" holds resyntheses of that source's clips."""


class Split(StrEnum):
    """What a clip may be used for."""

    TRAIN = "train"
    DEV = "dev"
    """Both labels; chooses the checkpoint."""
    TEST = "test"
    """Both labels; reported."""
    HUMAN = "human"
    """Human speech that is never trained on: false alarms and calibration."""
    NONE = "none"
    """Would leak: a resynthesis of a clip that is held out."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of the manifest."""

    path: str
    """Relative to the data folder."""
    fake: bool
    generator: str
    """"human" for genuine speech."""
    family: str
    speaker: str
    source: str
    licence: str
    split: Split


@dataclass(frozen=True, slots=True)
class Splits:
    """The contents of splits.toml."""

    by_source: Mapping[str, Split]
    shares: Mapping[str, float]
    test_speakers: Mapping[str, Sequence[str]]

    def of(self, source: str, speaker: str, fake: bool) -> Split:
        """Split of a clip from its source and speaker."""
        origin = source.split(COPY_MARK, 1)[1] if COPY_MARK in source else source
        split = self.by_source.get(origin, Split.TRAIN)
        if speaker in self.test_speakers.get(origin, ()):
            split = Split.TEST
        elif split is Split.TRAIN and fraction(f"{origin}/{speaker}") < self.shares.get(origin, 0):
            split = Split.NONE if fake else Split.HUMAN
        if origin != source and split is not Split.TRAIN:
            return Split.NONE
        return split


def fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32


def load_splits(path: Path = SPLITS_FILE) -> Splits:
    """Read the split table."""
    table = tomllib.loads(path.read_text())
    by_source = {
        source: split
        for split in (Split.TEST, Split.DEV, Split.HUMAN)
        for source in table[split.value]
    }
    return Splits(by_source, table["speakers"], table["test_speakers"])


def load_clips(data: Path, splits: Splits | None = None) -> list[Clip]:
    """Every clip of the data folder's manifest, in the manifest's order."""
    return list(_clips(data, splits or load_splits()))


def _clips(data: Path, splits: Splits) -> Iterator[Clip]:
    with (data / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            fake = row["label"] == "spoof"
            yield Clip(
                path=row["path"],
                fake=fake,
                generator=row["generator"],
                family=row["generator_family"],
                speaker=row["speaker"],
                source=row["source"],
                licence=row["licence"],
                split=splits.of(row["source"], row["speaker"], fake),
            )
