"""What the codecs of telephones do to the scores: errors and false alarms through each of them.

The threshold is that of the development sources' clean windows, as for the other figures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.training.data.clips import Clip, spread
from monitor.training.measure.evaluate import development_threshold, paired_report, transferred
from monitor.training.measure.scoring import CLEAN, G711, HELD_OUT, score_clips

CODED = (
    CLEAN,
    G711,
    "g722",
    "g723",
    "g726 32000",
    "g729",
    "gsm",
    "amr 4750",
    "amr 7400",
    "amr 12200",
    "amr-wb 12650",
    "speex 8000",
    "codec2 2400",
    "amr 7400+g729",
    "gsm+amr 12200",
    "opus-narrow 8000",
    "opus-low 12000",
    "opus-wide 24000",
)


def coded(clips: Sequence[Clip], model: Path, most: int, processes: int = 2) -> dict[str, Any]:
    """Figures for every one of CODED, of at most `most` clips of a source and label."""
    chosen = spread(clips, most, HELD_OUT)
    table = score_clips(chosen, model, processes=processes, channels=CODED)
    threshold = development_threshold(table)
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
