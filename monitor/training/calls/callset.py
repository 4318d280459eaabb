"""Held-out recordings → calls whose truth is known second by second: what the report counts on.

    genuine   [ human ......................................... ]
    full      [ fake .......................................... ]
    switch    [ human 10 to 60 s ....... | fake ............... ]
                                         ^ onset
    partial   [ human ....... | fake 8 to 15 s | human ........ ]

A human and the fake in one call share the channel draw. Which human meets which fake, for how
long and through what, follows from hashes of their names: the same data give the same calls.
"""

import hashlib
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import Pool
from pathlib import Path
from typing import TypeVar

import numpy as np

from monitor.ingest.codecs.convert import decode_audio
from monitor.training.calls.scored_calls import (
    CHANNELS,
    ScoredCall,
    channel_of,
    joined,
    score_audio,
    scored_calls,
    through_channel,
    voice_model,
)
from monitor.training.data.clips import Clip, Split, fraction
from monitor.types import SAMPLE_RATE, Span, Waveform

SPLITS = (Split.DEV, Split.TEST, Split.HUMAN)
FEWEST_HUMAN = 10.0
"""Seconds of human speech before a switch; a partial fake has as much around it."""
FEWEST_FAKE = 8.0
HEAD = (20.0, 60.0)
"""Most human seconds before a switch, drawn from this range."""
FAKE = 60.0
"""Most fake seconds after a switch."""
STRETCH = (8.0, 15.0)
"""Seconds of a partial fake."""
AROUND = (10.0, 25.0)
"""Most human seconds on either side of a partial fake."""
PER_SPEAKER = 4
"""Most switches of one speaker, each to another generator."""


class Kind(StrEnum):
    """What a call holds."""

    GENUINE = "genuine"
    FULL = "full"
    SWITCH = "switch"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to stage a call of a human and a fake."""

    kind: Kind
    human: tuple[Clip, ...]
    fake: tuple[Clip, ...]
    match: str
    """What human and fake share: `speaker`, `source` or `nothing`."""
    head: float
    """Most human seconds before the fake; a partial fake has as much after it."""
    stretch: float
    """Most fake seconds."""

    @property
    def name(self) -> str:
        """Names the recipe; its channel and its noise follow from the name."""
        human, fake = self.human[0], self.fake[0]
        return "/".join(
            (self.kind, human.source, human.speaker, fake.source, fake.speaker, fake.generator)
        )


@dataclass(frozen=True, slots=True)
class StagedCall:
    """A scored call and its truth."""

    kind: Kind
    call: ScoredCall
    """Source, generator and family are the fake's, unless there is none."""
    speaker: str
    """Label of the human who speaks; of the imitated one in a full fake."""
    source: str
    """The human's; of the fake's in a full fake."""
    fake: Span | None
    """Where the fake is, in call seconds."""
    match: str = ""
    """As in Recipe."""

    @property
    def onset(self) -> float | None:
        """Call seconds at which the fake begins, or None."""
        return self.fake.start if self.fake else None


def recipes(clips: Iterable[Clip]) -> list[Recipe]:
    """Every switch and partial fake the clips allow."""
    humans: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    fakes: dict[tuple[str, str, str], list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.path):
        if clip.fake:
            fakes[clip.source, clip.speaker, clip.generator].append(clip)
        else:
            humans[clip.source, clip.speaker].append(clip)
    usable = [tuple(f) for f in fakes.values() if _length(f) >= FEWEST_FAKE]
    found = []
    for human in humans.values():
        length = _length(human)
        if length < FEWEST_HUMAN or not usable:
            continue
        chosen = _partners(human[0], usable)
        for match, fake in chosen:
            found.append(_recipe(Kind.SWITCH, human, fake, match, HEAD, FAKE))
        if length >= 2 * FEWEST_HUMAN and len(human) > 1:
            match, fake = chosen[0]
            found.append(_recipe(Kind.PARTIAL, human, fake, match, AROUND, 0.0))
    return found


def _partners(human: Clip, fakes: Sequence[tuple[Clip, ...]]) -> list[tuple[str, tuple[Clip, ...]]]:
    """Fakes for one human: all of the speaker's own, else one of the source, else any one."""

    def rank(fake: tuple[Clip, ...]) -> tuple[float, float]:
        # By generator first: one with many speakers is not met more often.
        name = f"partner/{human.source}/{human.speaker}/{fake[0].generator}"
        return fraction(name), fraction(f"{name}/{fake[0].source}/{fake[0].speaker}")

    ranked = sorted(fakes, key=rank)
    source = [f for f in ranked if f[0].source == human.source]
    speaker = [f for f in source if f[0].speaker == human.speaker]
    if speaker:
        return [("speaker", f) for f in speaker[:PER_SPEAKER]]
    if source:
        return [("source", source[0])]
    return [("nothing", ranked[0])]


def _recipe(
    kind: Kind,
    human: Sequence[Clip],
    fake: tuple[Clip, ...],
    match: str,
    head: tuple[float, float],
    stretch: float,
) -> Recipe:
    drawn = Recipe(kind, tuple(human), fake, match, 0.0, stretch).name
    low, high = head
    shortest, longest = STRETCH
    return Recipe(
        kind,
        tuple(human),
        fake,
        match,
        low + (high - low) * fraction(f"head/{drawn}"),
        stretch or shortest + (longest - shortest) * fraction(f"stretch/{drawn}"),
    )


def assemble(
    recipe: Recipe, human: Sequence[Waveform], fake: Sequence[Waveform]
) -> tuple[Waveform, Span]:
    """Put a call together before its channel; return it and where the fake is."""
    if recipe.kind is Kind.SWITCH:
        before, after = list(human), []
    else:
        half = _half([len(samples) for samples in human])
        before, after = list(human[:half]), list(human[half:])
    head, middle = joined(before, recipe.head), joined(fake, recipe.stretch)
    parts = [head, middle, *([joined(after, recipe.head)] if after else [])]
    onset = len(head) / SAMPLE_RATE
    return np.concatenate(parts), Span(onset, onset + len(middle) / SAMPLE_RATE)


def staged_calls(
    every: Sequence[Clip], model: Path, cache: Path, processes: int = 2
) -> list[StagedCall]:
    """Score every call that the held-out clips allow, or read them back from `cache`.

    The cache is good for one model file, one set of clips, recipes and channels.
    """
    clips = [clip for clip in every if clip.split in SPLITS]
    chosen = recipes(clips)
    cache.mkdir(parents=True, exist_ok=True)
    version = voice_model(model).version

    def staged() -> list[StagedCall]:
        with Pool(processes) as pool:
            jobs = [(model, recipe) for recipe in chosen]
            found = list(pool.imap(_score, jobs, chunksize=2))
        return [call for call in found if call.call.windows]

    return [
        *map(_plain, plain_calls(every, model, cache, processes)),
        *_cached(cache / f"staged-{version}-{_digest((chosen, CHANNELS))}.pickle", staged),
    ]


def plain_calls(
    every: Sequence[Clip], model: Path, cache: Path, processes: int = 2
) -> list[ScoredCall]:
    """Calls of one voice each, scored or read back from `cache`."""
    clips = [clip for clip in every if clip.split in SPLITS]
    cache.mkdir(parents=True, exist_ok=True)
    return _cached(
        cache / f"plain-{voice_model(model).version}-{_digest((clips, CHANNELS))}.pickle",
        lambda: scored_calls(clips, model, SPLITS, processes),
    )


def _digest(material: object) -> str:
    return hashlib.sha256(repr(material).encode()).hexdigest()[:12]


T = TypeVar("T")


def _cached(path: Path, make: Callable[[], list[T]]) -> list[T]:
    if not path.exists():
        path.write_bytes(pickle.dumps(make()))
    found: list[T] = pickle.loads(path.read_bytes())
    return found


def _plain(call: ScoredCall) -> StagedCall:
    if call.fake:
        return StagedCall(Kind.FULL, call, call.speaker, call.source, Span(0.0, call.seconds))
    return StagedCall(Kind.GENUINE, call, call.speaker, call.source, None)


def _score(job: tuple[Path, Recipe]) -> StagedCall:
    model, recipe = job
    human, fake = (
        [decode_audio(clip.file) for clip in clips] for clips in (recipe.human, recipe.fake)
    )
    audio, span = assemble(recipe, human, fake)
    channel = channel_of("staged", recipe.name)
    audio = through_channel(audio, channel, int(fraction(recipe.name) * 2**31))
    first = recipe.fake[0]
    call = ScoredCall(
        source=first.source,
        speaker=first.speaker,
        generator=first.generator,
        family=first.family,
        fake=True,
        split=recipe.human[0].split,
        channel=channel,
        seconds=len(audio) / SAMPLE_RATE,
        windows=score_audio(audio, model),
    )
    human_clip = recipe.human[0]
    return StagedCall(recipe.kind, call, human_clip.speaker, human_clip.source, span, recipe.match)


def _length(clips: Sequence[Clip]) -> float:
    return sum(clip.seconds for clip in clips)


def _half(lengths: Sequence[int]) -> int:
    """After how many of several recordings about half of their length has passed."""
    passed = np.cumsum(lengths)
    return min(len(lengths) - 1, int(np.searchsorted(passed, passed[-1] / 2)) + 1)
