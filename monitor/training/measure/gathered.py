"""How much better one knows after more speech: error rates of a voice, not of a window.

Scored windows of one voice (a speaker, or a generator speaking as one) are taken in order until
they hold so many seconds of speech; what they say together is the mean of their logits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.training.data.clips import Split
from monitor.training.data.windows import HOP_SECONDS, WINDOW_SECONDS
from monitor.training.measure.evaluate import Report, paired_report, scored_sources
from monitor.training.measure.metrics import Scores, macro_equal_error_rate
from monitor.training.measure.scoring import CHANNELS, COLUMNS, Table

SECONDS = (3.0, 4.0, 8.0, 16.0, 30.0)
"""Of speech. Less than a window is `evaluate.lengths`'s to measure."""
SLACK = 0.5
"""Seconds that may be missing: windows hold pauses, and whole windows are taken."""


def gathered(table: Table, seconds: float, first: bool = False) -> Table:
    """One row per voice and channel that has so many seconds of speech; `clip` is the voice.

    With `first` the logit is that of the voice's first window alone.
    """
    order = np.lexsort([table[name] for name in ("start", "clip", "channel")])
    voices: dict[tuple[Any, ...], list[int]] = {}
    for i in order:
        names = ("source", "speaker", "generator", "split", "channel")
        voices.setdefault(tuple(str(table[name][i]) for name in names), []).append(int(i))
    rows = []
    for voice, windows in voices.items():
        taken, speech, clip = [], 0.0, None
        for i in windows:
            # Windows of one recording overlap: all but its first bring only what is new.
            share = HOP_SECONDS / WINDOW_SECONDS if table["clip"][i] == clip else 1.0
            taken.append(i)
            clip, speech = table["clip"][i], speech + share * float(table["speech"][i])
            if speech >= seconds - SLACK:
                row = {name: table[name][taken[0]] for name in COLUMNS}
                heard = taken[:1] if first else taken
                logit = float(np.mean([float(table["logit"][k]) for k in heard]))
                rows.append(row | {"clip": "/".join(voice), "speech": speech, "logit": logit})
                break
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def by_speech(table: Table) -> Report:
    """Macro within-source error rates of the test voices for every length of speech.

    Longer speech has fewer voices and sources, which differ in difficulty: `first` is the rate
    of the same voices by their first window alone.
    """
    out: Report = {}
    for seconds in SECONDS:
        whole, first = (gathered(table, seconds, only) for only in (False, True))
        for channel in CHANNELS:
            here = (whole["channel"] == channel) & (whole["split"] == Split.TEST.value)
            names = scored_sources(whole, here)
            if not names:
                continue
            found = paired_report(whole, channel)["window"]
            out[f"{seconds:g} s {channel}"] = {
                "eer": found["eer"],
                "interval": found["interval"],
                "first": macro_equal_error_rate([_pair(first, here, name) for name in names]),
                "voices": sum(it["human"] + it["fake"] for it in found["sources"].values()),
                "sources": len(found["sources"]),
            }
    return out


def _pair(table: Table, rows: NDArray[np.bool_], source: str) -> tuple[Scores, Scores]:
    """Human and fake logits of a source among the rows."""
    here, fake = rows & (table["source"] == source), table["fake"].astype(bool)
    logit = table["logit"].astype(np.float64)
    return logit[here & ~fake], logit[here & fake]
