"""How far features get that need no listening: level, bandwidth, silence, length.

A model that scores no better than this probe has learnt how sources pack their files. The
probe sees what the network sees: recordings cut to their speech, at unit level.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.training.data.clips import Split
from monitor.training.data.library import activity
from monitor.training.data.store import AudioStore, Pcm, from_pcm
from monitor.training.measure.logistic import fit_logistic
from monitor.training.measure.metrics import equal_error_rate
from monitor.types import SAMPLE_RATE

FEATURES = (
    "level",
    "peak",
    "offset",
    "crest",
    "noise floor",
    "roll-off 95",
    "roll-off 99",
    "above 4 kHz",
    "zeros",
    "duration",
    "silence",
)
PACKAGING = ("level", "peak", "offset", "duration")
"""Features that the preparation takes away: gain and length never reach the network."""


def features(pcm: Pcm, active: NDArray[np.bool_]) -> NDArray[np.float64]:
    """FEATURES of a recording that was cut to its speech."""
    x = from_pcm(pcm).astype(np.float64)
    rms = float(np.sqrt(np.mean(x**2))) + 1e-9
    power = np.abs(np.fft.rfft(x)) ** 2
    share = np.cumsum(power) / power.sum()
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(power))
    frames = x[: len(x) // 320 * 320].reshape(-1, 320)
    quiet = np.quantile(np.sqrt(np.mean(frames**2, axis=1)), 0.05)
    return np.array(
        [
            np.log(rms),
            np.log(np.abs(x).max() + 1e-9),
            np.mean(x) / rms,
            np.log(np.abs(x).max() / rms + 1e-9),
            np.log(quiet / rms + 1e-5),
            hertz[np.searchsorted(share, 0.95)] / 1000,
            hertz[np.searchsorted(share, 0.99)] / 1000,
            np.log(power[hertz > 4000].sum() / power.sum() + 1e-9),
            float(np.mean(pcm == 0)),
            np.log(len(x) / SAMPLE_RATE),
            1 - float(np.mean(active)),
        ]
    )


def trivial_probe(speech: AudioStore) -> dict[str, Any]:
    """Macro within-source EER on the test sources of logistic regressions fitted on training.

    "all" uses every feature of the raw file, "seen" those that gain and crop leave over.
    """
    table: dict[Split, list[tuple[NDArray[np.float64], bool, str]]] = {}
    for index, row in enumerate(speech.rows):
        split = Split(row["split"])
        if split in (Split.TRAIN, Split.DEV, Split.TEST):
            values = features(speech.pcm(index), activity(row))
            table.setdefault(split, []).append((values, row["fake"], row["source"]))
    seen = [i for i, name in enumerate(FEATURES) if name not in PACKAGING]
    out: dict[str, Any] = {}
    for name, columns in (("all", list(range(len(FEATURES)))), ("seen", seen)):
        x = np.array([values[columns] for values, _, _ in table[Split.TRAIN]])
        y = np.array([fake for _, fake, _ in table[Split.TRAIN]], float)
        rule = fit_logistic(x, y)
        for split in (Split.DEV, Split.TEST):
            errors = {}
            rows = table.get(split, [])
            for source in sorted({source for _, _, source in rows}):
                scores = [
                    (rule.scores(values[columns][None]).item(), fake)
                    for values, fake, where in rows
                    if where == source
                ]
                human = [score for score, fake in scores if not fake]
                synthetic = [score for score, fake in scores if fake]
                if min(len(human), len(synthetic)) >= 5:
                    errors[source] = equal_error_rate(human, synthetic)
            out[f"{name} {split.value}"] = {"eer": float(np.mean(list(errors.values()))), **errors}
    return out
