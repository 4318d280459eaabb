"""What noise removal does to genuine speech: false alarms with it and without, paired.

The threshold is that of the development sources' clean windows, as for the other figures. Noise
removal is that of `processing`, which is a classical suppressor, not a neural one.
"""

from collections import Counter
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.inference.onnx import Session
from monitor.training.channels.processing import suppress_noise
from monitor.training.data.clips import Split, fraction
from monitor.training.data.library import activity
from monitor.training.data.prepare import open_speech
from monitor.training.data.store import AudioStore, from_pcm
from monitor.training.data.windows import scoring_windows
from monitor.training.measure.metrics import equal_error_threshold

OVERESTIMATION, LOWEST_GAIN = 2.0, 0.1
"""Of the suppressor: a strong setting, 20 dB at most."""
_state: dict[str, tuple[AudioStore, Session]] = {}

Scores = NDArray[np.float64]


def denoised(work: Path, model: Path, most: int, processes: int = 2) -> dict[str, Any]:
    """Shares of flagged windows of the human-only recordings, at most `most` of a speaker."""
    speech = open_speech(work)
    taken: Counter[str] = Counter()
    chosen = []
    for index in sorted(range(len(speech)), key=lambda i: fraction(speech.rows[i]["path"])):
        row = speech.rows[index]
        speaker = f"{row['source']}/{row['speaker']}"
        if row["split"] == Split.HUMAN and taken[speaker] < most:
            taken[speaker] += 1
            chosen.append(index)
    judges = [i for i, row in enumerate(speech.rows) if row["split"] == Split.DEV]
    with Pool(processes) as pool:
        jobs = [(work, model, i, False) for i in judges] + [(work, model, i, True) for i in chosen]
        found = pool.map(_score, jobs, chunksize=8)
    fake = np.array([bool(speech.rows[i]["fake"]) for i in judges])
    windows = [np.repeat(label, len(it)) for label, it in zip(fake, found, strict=False)]
    logits = np.concatenate(found[: len(judges)])[:, 0]
    label = np.concatenate(windows)
    threshold = equal_error_threshold(logits[~label], logits[label])
    speakers: dict[str, list[Scores]] = {}
    for index, scores in zip(chosen, found[len(judges) :], strict=True):
        row = speech.rows[index]
        speakers.setdefault(f"{row['source']}/{row['speaker']}", []).append(scores)
    flagged = [np.concatenate(parts) >= threshold for parts in speakers.values()]
    return {"threshold": threshold, **_shares([it for it in flagged if len(it)])}


def _shares(flagged: list[NDArray[np.bool_]], rounds: int = 1000) -> dict[str, Any]:
    """Shares over all windows (windows, 2) of each speaker; the interval redraws speakers."""
    rng = np.random.default_rng(0)
    counts = np.array([[len(it), *it.sum(0)] for it in flagged], float)

    def difference(rows: NDArray[np.float64]) -> float:
        windows, plain, cleaned = rows.sum(0)
        return float((cleaned - plain) / windows)

    drawn = [difference(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(rounds)]
    windows, plain, cleaned = counts.sum(0)
    return {
        "windows": int(windows),
        "speakers": len(counts),
        "as_recorded": plain / windows,
        "denoised": cleaned / windows,
        "difference": difference(counts),
        "interval": tuple(np.quantile(drawn, [0.025, 0.975]).tolist()),
    }


def _score(job: tuple[Path, Path, int, bool]) -> Scores:
    """Logits of a recording's windows, (windows, 2): as recorded, and after noise removal."""
    work, model, index, twice = job
    if str(model) not in _state:
        _state[str(model)] = (open_speech(work), Session(model))
    speech, session = _state[str(model)]
    samples, active = from_pcm(speech.pcm(index)), activity(speech.rows[index])
    cleaned = suppress_noise(samples[None], OVERESTIMATION, LOWEST_GAIN)[0] if twice else samples
    pairs = zip(scoring_windows(samples, active), scoring_windows(cleaned, active), strict=True)
    found = [
        [float(session.run({"waveform": it.samples[None]})[0][0]) for it in pair] for pair in pairs
    ]
    return np.array(found, np.float64).reshape(-1, 2)
