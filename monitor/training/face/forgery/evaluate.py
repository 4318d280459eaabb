"""How well a network tells real forgeries from genuine pictures: files, clips, whole pages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.face import trimmed_mean
from monitor.training.face.forgery.ranking import (
    Judged,
    Statistic,
    auc,
    auc_difference,
    macro_auc,
    macro_difference,
    measured,
    with_both,
)
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.looks import Looks
from monitor.training.measure.metrics import equal_error_threshold

WINDOW = 3.0
"""Seconds, as the service's face windows."""
_FEWEST = 5
"""Files of a method below which a figure of its own would mean nothing."""


def judged(
    files: Sequence[FaceFile],
    looks: Looks,
    logit: NDArray[np.float64],
    rival: NDArray[np.float64] | None = None,
    window: float = np.inf,
) -> Judged:
    """One row per file, or per `window` seconds of it: the trimmed mean of the crops' logits."""
    other = rival if rival is not None else np.zeros(len(logit))
    rows = []
    for number, file in enumerate(files):
        mine = looks.number == number
        part = np.floor(looks.time / window) if np.isfinite(window) else np.zeros(len(looks))
        for which in np.unique(part[mine]):
            some = mine & (part == which)
            score = trimmed_mean(logit[some].astype(np.float32))
            against = trimmed_mean(other[some].astype(np.float32))
            rows.append((score, against, file))
    found = [row[2] for row in rows]
    return Judged(
        score=np.array([row[0] for row in rows], np.float64),
        rival=np.array([row[1] for row in rows], np.float64),
        fake=np.array([f.fake for f in found], bool),
        group=np.array([f.group for f in found]),
        source=np.array([f.source for f in found]),
        family=np.array([f.family for f in found]),
        method=np.array([f.method for f in found]),
        video=np.array([f.kind == "video" for f in found], bool),
    )


def album_report(table: Judged, windows: Judged) -> dict[str, Any]:
    """Figures of an album with both labels: by kind, pooled, within sources, by method."""
    parts = {
        "images": table.chosen(~table.video),
        "videos": table.chosen(table.video),
        "windows": windows.chosen(windows.video),
        "pooled": table,
    }
    report: dict[str, Any] = {}
    for name, part in parts.items():
        if part.fake.any() and not part.fake.all():
            report[name] = measured(part, auc)
            report[f"{name} within sources"] = measured(with_both(part), macro_auc)
    report["methods"] = methods(table)
    return report


def methods(table: Judged) -> dict[str, Any]:
    """Each method against all genuine files of the same kind, with an interval if it has a few."""
    found = {}
    for method in np.unique(table.method[table.fake]):
        for video in (False, True):
            mine = (table.method == method) & (table.video == video) & table.fake
            if not mine.any():
                continue
            part = table.chosen(mine | (~table.fake & (table.video == video)))
            kind = "video" if video else "image"
            rounds = 1000 if mine.sum() >= _FEWEST else 1
            figure = measured(part, auc, rounds=rounds)
            if mine.sum() < _FEWEST:
                figure["interval"] = None
            found[f"{method} ({kind})"] = figure
    return found


def page_report(table: Judged, threshold: float) -> dict[str, Any]:
    """Unseen pages: macro within-page area, all and by family, and alarms at a fixed threshold.

    A page's genuine pictures are compared with its own forgeries only.
    """
    report: dict[str, Any] = {
        "all": measured(with_both(table), macro_auc, nested=True),
        "pooled": measured(table, auc, nested=True),
    }
    larger = with_both(table, _FEWEST)
    if len(larger):
        report[f"pages with {_FEWEST} of each label"] = measured(larger, macro_auc, nested=True)
    for family in np.unique(table.family[table.fake]):
        part = with_both(table.chosen(~table.fake | (table.family == family)))
        if part.fake.any():
            report[f"family {family}"] = measured(part, macro_auc, nested=True)
    report["pages"] = {
        str(name): measured(table.chosen(table.source == name), auc, rounds=200)
        for name in np.unique(with_both(table).source)
    }
    report["flagged at the dev threshold"] = flagged(table, threshold)
    return report


def flagged(table: Judged, threshold: float) -> dict[str, list[float]]:
    """Share at or above the threshold and number of files, by family (genuine ones: `human`)."""
    return {
        str(name): [
            round(float((table.score[table.family == name] >= threshold).mean()), 4),
            int((table.family == name).sum()),
        ]
        for name in np.unique(table.family)
    }


def threshold_of(table: Judged) -> float:
    """Where misses and false alarms are equal."""
    return equal_error_threshold(table.score[~table.fake], table.score[table.fake])


def compared(table: Judged, paged: bool) -> dict[str, Any]:
    """Ours, the rival's and the difference on the same crops, each with its interval."""
    own: Statistic = macro_auc if paged else auc
    less: Statistic = macro_difference if paged else auc_difference
    part = with_both(table) if paged else table
    swapped = Judged(
        score=part.rival,
        rival=part.score,
        fake=part.fake,
        group=part.group,
        source=part.source,
        family=part.family,
        method=part.method,
        video=part.video,
    )
    return {
        "ours": measured(part, own, nested=paged),
        "rival": measured(swapped, own, nested=paged),
        "difference": measured(part, less, nested=paged),
    }
