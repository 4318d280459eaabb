"""All recordings that training may use, arranged for balanced drawing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from monitor.analysis.speech import CHUNK
from monitor.training.data.clips import COPY_MARK, Split
from monitor.training.data.store import AudioStore, Pcm, Row

HUMAN_FAMILY = "human"
ENGINES = "engines"
"""Name of the groups whose fakes come without human recordings of the same origin."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a store."""

    store: AudioStore
    index: int
    family: str
    active: NDArray[np.bool_]
    """Speech or not per 32 ms chunk; empty if unknown."""

    def pcm(self) -> Pcm:
        """Its samples."""
        return self.store.pcm(self.index)


Tree = Mapping[str, Sequence[Recording]]
"""Recordings by speaker (human) or by generator (fake)."""


@dataclass(slots=True)
class Origin:
    """One source: people and machines recorded under the same conditions."""

    human: dict[str, list[Recording]] = field(default_factory=lambda: defaultdict(list))
    fake: dict[str, list[Recording]] = field(default_factory=lambda: defaultdict(list))

    @property
    def weight(self) -> float:
        """How often to draw the source: it grows slowly with what is there to learn."""
        humans = sum(map(len, self.human.values()))
        fakes = sum(map(len, self.fake.values()))
        return float(np.sqrt(min(humans, fakes, 300)) * len(self.fake) ** 0.25)


@dataclass(slots=True)
class Library:
    """Training recordings: sources with both labels, all humans, lone fakes, and resyntheses."""

    origins: dict[str, Origin]
    copies: dict[str, list[tuple[Recording, Recording]]]
    """By method: human recordings and their resyntheses, aligned to the sample."""

    @property
    def families(self) -> list[str]:
        """Names of the generator families, human first."""
        names = {
            recording.family
            for origin in self.origins.values()
            for recordings in origin.fake.values()
            for recording in recordings
        }
        names |= {copy.family for pairs in self.copies.values() for _, copy in pairs}
        return [HUMAN_FAMILY, *sorted(names)]

    def less(self, family: str | None, source: str | None) -> "Library":
        """The library without the fakes of a family, or without a source and its copies."""
        origins: dict[str, Origin] = {}
        for name, origin in self.origins.items():
            if name == source:
                continue
            kept = {
                generator: [it for it in recordings if it.family != family]
                for generator, recordings in origin.fake.items()
            }
            origins[name] = Origin(origin.human, {key: it for key, it in kept.items() if it})
        humans = {
            id(recording)
            for origin in origins.values()
            for recordings in origin.human.values()
            for recording in recordings
        }
        copies = {
            method: left
            for method, pairs in self.copies.items()
            if (left := [it for it in pairs if it[1].family != family and id(it[0]) in humans])
        }
        return Library(origins, copies)

    def paired(self) -> list[str]:
        """Sources that hold both labels."""
        return [name for name, origin in self.origins.items() if origin.human and origin.fake]

    def lone_fakes(self) -> dict[str, list[Recording]]:
        """Fakes by generator from sources without human recordings."""
        out: dict[str, list[Recording]] = {}
        for origin in self.origins.values():
            if not origin.human:
                for generator, recordings in origin.fake.items():
                    out.setdefault(generator, []).extend(recordings)
        return out

    def humans(self) -> dict[str, Tree]:
        """Human recordings by source and speaker."""
        return {name: origin.human for name, origin in self.origins.items() if origin.human}


def activity(row: Row) -> NDArray[np.bool_]:
    """The stored speech flags of a row."""
    flags: NDArray[np.bool_] = np.frombuffer(row.get("active", "").encode(), np.uint8) == ord("1")
    return flags


def build_library(speech: AudioStore, copies: Sequence[AudioStore]) -> Library:
    """Arrange the stores.

    `speech` has Clip fields in its rows; `copies` have generator, family, and parent (a row of
    `speech`) unless they are an engine's own sentences.
    """
    origins: dict[str, Origin] = defaultdict(Origin)
    recordings: dict[int, Recording] = {}
    for index, row in enumerate(speech.rows):
        if row["split"] != Split.TRAIN:
            continue
        recording = Recording(speech, index, row["family"], activity(row))
        recordings[index] = recording
        origin = origins[row["source"].split(COPY_MARK)[-1]]
        if row["fake"]:
            origin.fake[row["generator"]].append(recording)
        else:
            origin.human[row["speaker"]].append(recording)
    pairs: dict[str, list[tuple[Recording, Recording]]] = defaultdict(list)
    for store in copies:
        for index, row in enumerate(store.rows):
            recording = Recording(store, index, row["family"], activity(row))
            parent = row.get("parent")
            if parent is None:
                origins[ENGINES].fake[row["generator"]].append(recording)
            elif parent in recordings:
                pairs[row["generator"]].append((recordings[parent], recording))
    return Library(dict(origins), dict(pairs))


def draw(tree: Tree, rng: Generator) -> Recording:
    """A recording, every branch of the tree being equally likely."""
    names = list(tree)
    branch = tree[names[int(rng.integers(len(names)))]]
    return branch[int(rng.integers(len(branch)))]


def crop_start(active: NDArray[np.bool_], available: int, samples: int, rng: Generator) -> int:
    """Where to cut `samples` out of `available` so that at least half is speech, if it can be."""
    if available <= samples:
        return 0
    start = 0
    for _ in range(4):
        start = int(rng.integers(available - samples + 1))
        part = active[start // CHUNK : (start + samples) // CHUNK]
        if not len(part) or part.mean() >= 0.5:
            break
    return start


def cut(pcm: Pcm, start: int, samples: int) -> Pcm:
    """`samples` from `start`; a recording that is too short is repeated from its beginning."""
    piece = pcm[start : start + samples]
    return piece if len(piece) == samples else np.resize(pcm, samples)
