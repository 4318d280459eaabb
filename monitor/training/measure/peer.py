"""Another scorer on the same recordings: how much better or worse ours is, with an interval.

The other is a former file of ours or somebody else's: any ONNX file that takes 16 kHz waveforms
(batch, samples) and returns one number a window, higher = more likely fake. Code and weights of
others stay outside this project.
"""

from collections.abc import Collection, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.speech import SpeechGate
from monitor.inference.onnx import Session
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.data.clips import Clip, Split
from monitor.training.data.gate import find_speech
from monitor.training.measure.evaluate import scored_sources
from monitor.training.measure.metrics import bootstrap, macro_equal_error_rate
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table, through
from monitor.types import SAMPLE_RATE, Waveform

OUR_SAMPLES = 3 * SAMPLE_RATE
_state: dict[Path, tuple[Session, SpeechGate]] = {}

Pairs = NDArray[np.float64]
"""Shape (windows, 2): our score and the other's."""


def score_beginnings(clips: Sequence[Clip], model: Path, samples: int, processes: int) -> Table:
    """One row per clip and channel: `model` on the first `samples` samples of its speech.

    Each scorer gets as much as it was made for; a shorter clip is repeated.
    """
    jobs = [(clip, model, samples) for clip in clips]
    with Pool(processes) as pool:
        rows = [row for found in pool.imap(_score, jobs, chunksize=8) for row in found]
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(COLUMNS)}


def compared(
    ours: Table, other: Table, channel: str, rounds: int = 1000, split: Split = Split.TEST
) -> dict[str, Any]:
    """Macro within-source equal error rates of both on a split's windows that both tables hold,
    and ours minus the other's."""
    known = dict(zip(_keys(other), other["logit"], strict=True))
    mine = np.array([key in known for key in _keys(ours)])
    rows = mine & (ours["channel"] == channel) & (ours["split"] == split.value)
    table = {name: values[rows] for name, values in ours.items()}
    theirs = np.array([known[key] for key in _keys(table)])
    both = np.stack([table["logit"], theirs], 1).astype(np.float64)
    fake = table["fake"].astype(bool)
    sources = []
    for name in scored_sources(table, np.ones(len(both), bool)):
        here = table["source"] == name
        sources.append(
            (
                _groups(both, table["speaker"], here & ~fake),
                _groups(both, table["generator"], here & fake),
            )
        )
    pooled = [tuple(np.concatenate(list(g.values())) for g in pair) for pair in sources]

    def rate(which: int, drawn: Sequence[tuple[Pairs, Pairs]]) -> float:
        return macro_equal_error_rate([(human[:, which], fake[:, which]) for human, fake in drawn])

    def difference(drawn: Sequence[Any]) -> float:
        return rate(0, drawn) - rate(1, drawn)

    return {
        "windows": int(sum(len(human) + len(fake) for human, fake in pooled)),
        "sources": len(pooled),
        "ours": rate(0, pooled),  # type: ignore[arg-type]
        "other": rate(1, pooled),  # type: ignore[arg-type]
        "difference": difference(pooled),
        "interval": bootstrap(difference, sources, rounds),
    }


def _keys(table: Table) -> list[tuple[Any, ...]]:
    return list(zip(table["clip"], table["channel"], table["start"], strict=True))


def _groups(both: Pairs, names: NDArray[Any], rows: NDArray[np.bool_]) -> dict[str, Pairs]:
    found: Collection[Any] = np.unique(names[rows])
    return {str(name): both[rows & (names == name)] for name in found}


def _score(job: tuple[Clip, Path, int]) -> list[tuple[Any, ...]]:
    clip, model, samples = job
    if model not in _state:
        _state[model] = (Session(model), SpeechGate())
    session, gate = _state[model]
    speech = find_speech(decode_audio(clip.file), gate)
    if speech is None:
        return []
    about = (clip.path, clip.source, clip.speaker, clip.fake, clip.generator, clip.family)
    return [
        (*about, clip.split.value, channel, 0.0, speech.seconds, _logit(session, audio, samples))
        for channel in CHANNELS
        for audio in [through(speech.samples, channel)]
    ]


def _logit(session: Session, audio: Waveform, samples: int) -> float:
    window = np.resize(audio, samples)[None]
    return float(session.run({session.inputs[0]: window})[0].reshape(-1)[0])
