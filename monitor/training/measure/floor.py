"""The floor: a linear rule on cepstra, fitted on the same recordings as the network.

Linear-frequency cepstra (Sahidullah et al., Interspeech 2015) with deltas, their means and
deviations over a window. What beats this has learnt more than the average spectrum.
"""

from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from monitor.training.data.clips import Split
from monitor.training.data.library import activity
from monitor.training.data.prepare import open_speech
from monitor.training.data.store import AudioStore, Row, from_pcm
from monitor.training.data.windows import WINDOW_SECONDS, scoring_windows
from monitor.training.measure.evaluate import Report, paired_report
from monitor.training.measure.logistic import Matrix, fit_logistic
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table, through
from monitor.types import SAMPLE_RATE, Waveform

_SIZE = 512
_HOP = 160
_FILTERS = 20
_stores: dict[Path, AudioStore] = {}


def cepstra(samples: Waveform) -> NDArray[np.float64]:
    """Linear-frequency cepstral coefficients, shape (frames, 20)."""
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, _SIZE)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hamming(_SIZE))))[:, 1:]
    width = power.shape[1] // _FILTERS
    bands = power[:, : _FILTERS * width].reshape(len(power), _FILTERS, width).mean(2)
    return np.asarray(dct(np.log(bands + 1e-8), axis=1, norm="ortho"))


def features(samples: Waveform) -> Matrix:
    """Means and deviations of cepstra and deltas over a window, shape (80,)."""
    level = float(np.sqrt(np.mean(np.square(samples)))) + 1e-9
    static = cepstra(samples / np.float32(level))
    delta = static[2:] - static[:-2]
    parts = [static.mean(0), static.std(0), np.abs(delta).mean(0), delta.std(0)]
    return np.concatenate(parts)


def floor(work: Path, processes: int = 2) -> Report:
    """Figures of the test sources per channel, as `paired_report` gives them."""
    speech = open_speech(work)
    wanted = [i for i, row in enumerate(speech.rows) if row["split"] in (Split.TRAIN, Split.TEST)]
    with Pool(processes) as pool:
        found = pool.map(_features, [(work, index) for index in wanted], chunksize=64)
    kept = [(speech.rows[i], pair) for i, pair in zip(wanted, found, strict=True) if pair]
    train = [(row, pair) for row, pair in kept if row["split"] == Split.TRAIN]
    x = np.concatenate([np.stack(pair) for _, pair in train])
    y = np.repeat([float(row["fake"]) for row, _ in train], len(CHANNELS))
    rule = fit_logistic(x, y)
    rows = [
        _row(row, channel, float(rule.scores(values[None])[0]))
        for row, pair in kept
        if row["split"] == Split.TEST
        for channel, values in zip(CHANNELS, pair, strict=True)
    ]
    table: Table = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    return {channel: paired_report(table, channel)["window"] for channel in CHANNELS}


def _features(job: tuple[Path, int]) -> tuple[Matrix, ...]:
    """Features of a recording's first window in every channel; empty if it is too short."""
    work, index = job
    if work not in _stores:
        _stores[work] = open_speech(work)
    row = _stores[work].rows[index]
    samples = from_pcm(_stores[work].pcm(index))
    window = next(scoring_windows(samples, activity(row)), None)
    if window is None or len(window.samples) < WINDOW_SECONDS * SAMPLE_RATE / 2:
        return ()
    return tuple(features(through(window.samples, channel)) for channel in CHANNELS)


def _row(row: Row, channel: str, logit: float) -> Row:
    known = {name: row.get(name, 0.0) for name in COLUMNS}
    split = Split(row["split"]).value
    return known | {"clip": row["path"], "channel": channel, "logit": logit, "split": split}
