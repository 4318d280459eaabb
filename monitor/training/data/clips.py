"""The speech manifest: which clips exist, what they are, and which split each belongs to."""

import csv
import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

SPLITS_FILE = Path(__file__).with_name("splits.toml")
TWINS_FILE = Path(__file__).with_name("twins.txt")
"""Recordings that occur both in training and in a test, one path a line; made by `twins`."""
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
    """Would leak: a resynthesis of a clip, or another clip of a generator, that is held out."""


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
    seconds: float
    folder: Path
    """The data folder."""

    @property
    def file(self) -> Path:
        """Where the recording lies."""
        return self.folder / self.path


@dataclass(frozen=True, slots=True)
class Splits:
    """The contents of splits.toml."""

    by_source: Mapping[str, Split]
    shares: Mapping[str, float]
    test_speakers: Mapping[str, Sequence[str]]
    held_out_generators: Sequence[str]
    drawn_after: str
    """The page of pages.toml after which all were gathered later and dealt out by the draw."""

    def of(self, source: str, speaker: str, generator: str, fake: bool) -> Split:
        """Split of a clip from its source, speaker and generator."""
        origin = source.split(COPY_MARK, 1)[1] if COPY_MARK in source else source
        split = self.by_source.get(origin, Split.TRAIN)
        if speaker in self.test_speakers.get(origin, ()):
            split = Split.TEST
        elif split is Split.TRAIN and fraction(f"{origin}/{speaker}") < self.shares.get(origin, 0):
            split = Split.NONE if fake else Split.HUMAN
        leaks = origin != source and split is not Split.TRAIN
        unseen = fake and any(name in generator for name in self.held_out_generators)
        if leaks or (unseen and split is Split.TRAIN):
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
    return Splits(
        by_source,
        table["speakers"],
        table["test_speakers"],
        table["held_out_generators"],
        table["draw"][0]["after"],
    )


def load_twins() -> frozenset[str]:
    """Paths of the recordings that are left out as copies."""
    return frozenset(TWINS_FILE.read_text(encoding="utf-8").splitlines())


def load_clips(*folders: Path, splits: Splits | None = None) -> list[Clip]:
    """Every clip of the data folders' manifests, in the manifests' order."""
    splits = splits or load_splits()
    twins = load_twins()
    return [
        replace(clip, split=Split.NONE) if clip.path in twins else clip
        for folder in folders
        for clip in _clips(folder, splits)
    ]


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
                split=splits.of(row["source"], row["speaker"], row["generator"], fake),
                seconds=float(row["duration_s"]),
                folder=data,
            )


def generator_key(generator: str) -> str:
    """What makes a label the same generator: its name before any vocoder, version or remark."""
    first = re.split(r"[+(,/]", generator, maxsplit=1)[0]
    return "".join(c for c in first.lower() if c.isalnum())


def trained_generators(clips: Iterable[Clip]) -> frozenset[str]:
    """Keys of every generator of the training split."""
    return frozenset(
        generator_key(clip.generator) for clip in clips if clip.fake and clip.split is Split.TRAIN
    )


def spread(clips: Sequence[Clip], most: int, splits: Collection[Split]) -> list[Clip]:
    """At most so many clips of each source and label in these splits; which, a hash decides."""
    taken: Counter[tuple[str, bool]] = Counter()
    kept = []
    eligible = (clip for clip in clips if clip.split in splits)
    for clip in sorted(eligible, key=lambda clip: fraction(clip.path)):
        taken[clip.source, clip.fake] += 1
        if taken[clip.source, clip.fake] <= most:
            kept.append(clip)
    return kept
