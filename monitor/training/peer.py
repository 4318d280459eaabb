"""Somebody else's scorer on the same clips: how much better or worse ours is, with an interval.

The peer is any ONNX file that takes 16 kHz waveforms (batch, samples) and returns one number a
window, higher = more likely fake. Its code and weights stay outside this project.
"""

from collections.abc import Collection, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.speech import SpeechGate
from monitor.inference.onnx import Session
from monitor.ingest.convert import decode_audio
from monitor.training.clips import Clip, Split
from monitor.training.evaluate import scored_sources
from monitor.training.gate import find_speech
from monitor.training.metrics import bootstrap, macro_equal_error_rate
from monitor.training.scoring import CHANNELS, Table, through
from monitor.types import SAMPLE_RATE, Waveform

OUR_SAMPLES = 3 * SAMPLE_RATE
COLUMNS = ("clip", "source", "speaker", "fake", "generator", "channel", "ours", "peer")
_sessions: dict[Path, Session] = {}
_gates: list[SpeechGate] = []

Pairs = NDArray[np.float64]
"""Shape (clips, 2): our score and the peer's."""


def score_both(
    clips: Sequence[Clip], ours: Path, peer: Path, samples: int, processes: int = 2
) -> Table:
    """One row per test clip and channel: both scorers on the beginning of its speech.

    Each gets as much as it was made for: 3 s, and `samples` for the peer; a shorter clip is
    repeated, as both do at home.
    """
    jobs = [(clip, ours, peer, samples) for clip in clips if clip.split is Split.TEST]
    with Pool(processes) as pool:
        rows = [row for found in pool.imap(_score, jobs, chunksize=8) for row in found]
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(COLUMNS)}


def compared(table: Table, channel: str, rounds: int = 1000) -> dict[str, Any]:
    """Macro within-source equal error rates of both, and of ours minus the peer's."""
    rows = table["channel"] == channel
    sources = []
    for name in scored_sources(table, rows):
        here = rows & (table["source"] == name)
        sources.append(
            (
                _groups(table, here & ~table["fake"].astype(bool), "speaker"),
                _groups(table, here & table["fake"].astype(bool), "generator"),
            )
        )
    pooled = [tuple(np.concatenate(list(g.values())) for g in pair) for pair in sources]

    def rate(which: int, drawn: Sequence[tuple[Pairs, Pairs]]) -> float:
        return macro_equal_error_rate([(human[:, which], fake[:, which]) for human, fake in drawn])

    def difference(drawn: Sequence[Any]) -> float:
        return rate(0, drawn) - rate(1, drawn)

    return {
        "clips": int(sum(len(human) + len(fake) for human, fake in pooled)),
        "sources": len(pooled),
        "ours": rate(0, pooled),  # type: ignore[arg-type]
        "peer": rate(1, pooled),  # type: ignore[arg-type]
        "difference": difference(pooled),
        "interval": bootstrap(difference, sources, rounds),
    }


def _groups(table: Table, rows: NDArray[np.bool_], column: str) -> dict[str, Pairs]:
    both = np.stack([table["ours"], table["peer"]], 1).astype(np.float64)
    names: Collection[Any] = np.unique(table[column][rows])
    return {str(name): both[rows & (table[column] == name)] for name in names}


def _score(job: tuple[Clip, Path, Path, int]) -> list[tuple[Any, ...]]:
    clip, ours, peer, samples = job
    if not _gates:
        _gates.append(SpeechGate())
    speech = find_speech(decode_audio(clip.file), _gates[0])
    if speech is None:
        return []
    rows = []
    for channel in CHANNELS:
        audio = through(speech.samples, channel)
        scores = (_logit(ours, audio, OUR_SAMPLES), _logit(peer, audio, samples))
        rows.append(
            (clip.path, clip.source, clip.speaker, clip.fake, clip.generator, channel, *scores)
        )
    return rows


def _logit(model: Path, audio: Waveform, samples: int) -> float:
    if model not in _sessions:
        _sessions[model] = Session(model)
    session = _sessions[model]
    window = np.resize(audio, samples)[None]
    return float(session.run({session.inputs[0]: window})[0].reshape(-1)[0])
