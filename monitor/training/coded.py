"""What the codecs of telephones do to the scores: errors and false alarms through each of them.

The threshold is that of the development sources' clean windows, as for the other figures.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monitor.training.clips import Clip, Split, fraction
from monitor.training.evaluate import paired_report, transferred
from monitor.training.metrics import equal_error_threshold
from monitor.training.scoring import CLEAN, G711, score_clips

CODED = (
    CLEAN,
    G711,
    "g722",
    "g729",
    "amr 4750",
    "amr 7400",
    "amr 12200",
    "opus-narrow 8000",
    "opus-low 12000",
    "opus-wide 24000",
)


def coded(clips: Sequence[Clip], model: Path, most: int, processes: int = 2) -> dict[str, Any]:
    """Figures for every one of CODED, of at most `most` clips of a source and label."""
    taken: Counter[tuple[str, bool]] = Counter()
    chosen = []
    for clip in sorted(clips, key=lambda clip: fraction(clip.path)):
        taken[clip.source, clip.fake] += 1
        if taken[clip.source, clip.fake] <= most:
            chosen.append(clip)
    table = score_clips(chosen, model, processes=processes, channels=CODED)
    fake, logit = table["fake"].astype(bool), table["logit"].astype(np.float64)
    here = (table["channel"] == CLEAN) & (table["split"] == Split.DEV.value)
    threshold = equal_error_threshold(logit[here & ~fake], logit[here & fake])
    found: dict[str, Any] = {"threshold": threshold}
    for channel in CODED:
        windows = paired_report(table, channel)["window"]
        moved = transferred(table, channel, threshold)
        found[channel] = {
            "eer": windows["eer"],
            "interval": windows["interval"],
            "false_alarms": moved["false_alarms"],
            "misses": moved["misses"],
            "human_only": moved["human_only"],
        }
    return found
