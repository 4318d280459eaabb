"""The stages of making training data, each one store: speech, resyntheses, engines."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import count, takewhile
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monitor.analysis.speech import CHUNK, SpeechGate
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.data.clips import Clip, Split, fraction, load_clips, load_splits, load_twins
from monitor.training.data.copysynthesis import METHODS
from monitor.training.data.engines import HifiGan, Kokoro
from monitor.training.data.gate import find_speech
from monitor.training.data.library import Library, build_library
from monitor.training.data.store import AudioStore, Pcm, Row, ensure, exists, from_pcm, to_pcm
from monitor.training.data.vocoder import VOCODERS, Vocoder
from monitor.training.data.vocoder_fit import load_vocoder, resynthesise
from monitor.types import SAMPLE_RATE

SPEECH_STORE = "speech"
MIN_SPEECH_SECONDS = 0.5
"""Recordings with less speech are of no use to training or scoring."""
COPY_SECONDS = 5
"""A resynthesis covers the beginning of its recording; it need not cover all of it."""
COPY_FAMILIES = {
    "griffin-lim": "griffin-lim",
    "phase-noise": "phase-noise",
    "lpc": "parametric",
    "world": "parametric",
    "hifi-gan": "neural_vocoder",
} | dict.fromkeys(VOCODERS, "neural_vocoder")
ENGINE_STORE = "kokoro"
PER_SPEAKER = 6
"""Recordings of one speaker that one method resynthesises, at most."""

Item = tuple[Mapping[str, Any], Pcm]


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """Where the neural engines were unpacked."""

    hifi_gan: Path | None = None
    kokoro: Path | None = None
    kokoro_vocabulary: Path | None = None
    kokoro_voices: Path | None = None


def lower_priority() -> None:
    """Data preparation gives way to anything else that runs on the machine."""
    os.nice(10)


@cache
def _gate() -> SpeechGate:
    return SpeechGate()


def _speech(clip: Clip) -> Item | None:
    speech = find_speech(decode_audio(clip.file), _gate())
    if speech is None or speech.seconds < MIN_SPEECH_SECONDS:
        return None
    row = asdict(clip) | {"start": speech.start, "active": _flags(speech.active)}
    del row["folder"], row["seconds"]
    return row, to_pcm(speech.samples)


def _flags(active: Any) -> str:
    return "".join("1" if a else "0" for a in active)


def speech_store(folders: Sequence[Path], work: Path, processes: int = 2) -> AudioStore:
    """All clips, decoded and cut to their speech; rows are Clip fields, start and active."""
    for number, folder in enumerate(folders):

        def items(folder: Path = folder) -> Iterator[Item]:
            with Pool(processes, lower_priority) as pool:
                yield from filter(None, pool.imap(_speech, load_clips(folder), chunksize=32))

        ensure(work, _speech_name(number), items)
    return open_speech(work)


def open_speech(work: Path) -> AudioStore:
    """What `speech_store` made, of every data folder, with splits as they stand now.

    Nothing is trained on that is listed as a copy of a test recording.
    """
    store = open_speech_with_twins(work)
    copies = load_twins()
    for row in store.rows:
        if row["split"] is Split.TRAIN and row["path"] in copies:
            row["split"] = Split.NONE
    return store


def open_speech_with_twins(work: Path) -> AudioStore:
    """The same with every copy in its split, so that the copies can be looked for."""
    names = list(takewhile(partial(exists, work), map(_speech_name, count())))
    store = AudioStore(work, *names)
    splits = load_splits()
    for row in store.rows:
        row["split"] = splits.of(row["source"], row["speaker"], row["generator"], row["fake"])
    return store


def _speech_name(number: int) -> str:
    return f"{SPEECH_STORE}-{number}" if number else SPEECH_STORE


def parents(speech: AudioStore, method: str, most: int) -> list[int]:
    """Training recordings of humans that a method resynthesises, spread over speakers."""
    order = sorted(
        (fraction(f"{method}/{row['path']}"), index)
        for index, row in enumerate(speech.rows)
        if row["split"] == Split.TRAIN and not row["fake"] and row["samples"] >= 1.5 * SAMPLE_RATE
    )
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    for _, index in order:
        speaker = f"{speech.rows[index]['source']}/{speech.rows[index]['speaker']}"
        if taken[speaker] < PER_SPEAKER and len(chosen) < most:
            taken[speaker] += 1
            chosen.append(index)
    return chosen


@cache
def _hifi_gan(model: Path) -> HifiGan:
    return HifiGan(model)


@cache
def _vocoder(weights: Path, name: str) -> Vocoder:
    torch.set_num_threads(1)
    return load_vocoder(weights, name)


def _copy(job: tuple[str, int, Row, Pcm, Path | None]) -> Item:
    method, parent, row, pcm, model = job
    rng = np.random.default_rng([parent, int(fraction(method) * 2**32)])
    samples = from_pcm(pcm)
    if method == "hifi-gan":
        assert model is not None
        made = _hifi_gan(model).resynthesise(samples, rng)
    elif method in VOCODERS:
        assert model is not None
        made = resynthesise(_vocoder(model, method), samples)
    else:
        made = METHODS[method](samples, rng)
    peak = float(np.abs(made).max()) + 1e-6
    made *= np.float32(min(1.0, 0.95 / peak))
    about = {
        "parent": parent,
        "source": row["source"],
        "path": row["path"],
        "generator": f"copy:{method}",
        "family": COPY_FAMILIES[method],
        "active": row["active"][: len(made) // CHUNK],
    }
    return about, to_pcm(made)


def copy_store(
    speech: AudioStore,
    work: Path,
    method: str,
    most: int,
    model: Path | None = None,
    processes: int = 2,
) -> AudioStore:
    """Resyntheses of training recordings by one method, aligned with their parents."""

    def items() -> Iterator[Item]:
        limit = COPY_SECONDS * SAMPLE_RATE
        jobs = (
            (method, index, speech.rows[index], np.array(speech.pcm(index)[:limit]), model)
            for index in parents(speech, method, most)
        )
        with Pool(processes, lower_priority) as pool:
            yield from pool.imap(_copy, jobs, chunksize=4)

    return ensure(work, f"copy-{method}", items)


def kokoro_store(work: Path, files: EngineFiles, each: int) -> AudioStore | None:
    """Sentences by the text-to-speech engine's training voices; None without its files."""
    if not exists(work, ENGINE_STORE) and files.kokoro is None:
        return None

    def items() -> Iterator[Item]:
        assert files.kokoro
        assert files.kokoro_vocabulary
        assert files.kokoro_voices
        engine = Kokoro(files.kokoro, files.kokoro_vocabulary, files.kokoro_voices)
        for said in engine.utterances(engine.voices(), each, seed=0):
            speech = find_speech(said.samples, _gate())
            if speech is not None:
                row = {
                    "source": ENGINE_STORE,
                    "path": said.voice,
                    "generator": "Kokoro",
                    "family": "neural_tts",
                    "active": _flags(speech.active),
                }
                yield row, to_pcm(speech.samples * (0.5 / np.abs(speech.samples).max()))

    return ensure(work, ENGINE_STORE, items)


def load_library(work: Path, speech: AudioStore) -> Library:
    """The library of every store that was prepared."""
    names = [f"copy-{method}" for method in COPY_FAMILIES] + [ENGINE_STORE]
    copies = [AudioStore(work, name) for name in names if exists(work, name)]
    return build_library(speech, copies)
