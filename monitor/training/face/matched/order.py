"""The stage that measures networks on pages: are the pairs in order, are pages told apart?"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.inference.onnx import Session
from monitor.training.face.forgery.forgery import WORK
from monitor.training.face.matched.gather import PAGES
from monitor.training.face.matched.pages import DEVELOPMENT, TEST
from monitor.training.face.pictures.album import FaceFile, read_album
from monitor.training.face.pictures.crops import MARGIN, Crops, collect
from monitor.training.measure.metrics import area_under_curve

Floats = NDArray[np.float64]
_BATCH = 16
_ROUNDS = 1000


def add(stages: Any) -> None:
    """Add the stage to the command line."""
    order = stages.add_parser("face-order", help="networks on pages that were kept out")
    order.add_argument("models", type=Path, nargs="+", help="each is compared with the first")
    order.add_argument("--pages", type=Path, default=PAGES, help="the album of face-pages")
    order.add_argument("--work", type=Path, default=WORK, help="caches and the report")
    order.add_argument("--split", choices=(DEVELOPMENT, TEST), default=DEVELOPMENT)
    order.set_defaults(run=_order)


def _order(options: argparse.Namespace) -> None:
    files = [f for f in read_album(options.pages) if f.split == options.split]
    cache = options.work / f"pages-{options.split}.npz"
    if not cache.exists():
        collect(files).save(cache)
    crops = Crops.load(cache)
    scores = {str(m): file_scores(files, crops, Session(m)) for m in options.models}
    report = compared(files, scores)
    text = json.dumps(report, indent=1)
    (options.work / f"order-{options.split}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def file_scores(files: Sequence[FaceFile], crops: Crops, session: Session) -> Floats:
    """Mean logit of each file's crops, NaN where no face was found; shape (files,)."""
    middle = slice(MARGIN, -MARGIN)
    found = []
    for i in range(0, len(crops), _BATCH):
        faces = crops.wide[i : i + _BATCH, middle, middle].transpose(0, 3, 1, 2)
        shown = np.ascontiguousarray(faces, np.float32) / np.float32(255)
        found.append(session.run({"face": shown})[0].reshape(-1))
    logit = np.concatenate(found).astype(np.float64)
    rows = [crops.path == file.path.name for file in files]
    return np.array([logit[mine].mean() if mine.any() else np.nan for mine in rows])


def compared(files: Sequence[FaceFile], scores: dict[str, Floats]) -> dict[str, Any]:
    """Each network's figures, and how far they are from the first's, pages drawn anew."""
    first = next(iter(scores.values()))
    report: dict[str, Any] = {}
    for name, score in scores.items():
        report[name] = {
            label: _measured(files, figure, score, first)
            for label, figure in (("pairs in order", in_order), ("area within pages", within))
        }
        report[name]["area"] = round(pooled(files, score), 4)
        report[name]["families"] = {
            family: round(in_order([f for f in files if f.family in (family, "human")], part), 4)
            for family in sorted({f.family for f in files if f.fake and f.pair})
            for part in [score[[f.family in (family, "human") for f in files]]]
        }
    return report


def in_order(files: Sequence[FaceFile], score: Floats) -> float:
    """Share of pairs whose forged members are above the genuine one; each pair counts once."""
    genuine = {f.pair: s for f, s in zip(files, score, strict=True) if f.pair and not f.fake}
    above: dict[str, list[float]] = {}
    for file, value in zip(files, score, strict=True):
        other = genuine.get(file.pair, np.nan)
        if file.fake and file.pair and np.isfinite(value) and np.isfinite(other):
            above.setdefault(file.pair, []).append(float(value > other))
    return float(np.mean([np.mean(pair) for pair in above.values()])) if above else float("nan")


def within(files: Sequence[FaceFile], score: Floats) -> float:
    """Mean area under the curve of pages with both labels: cameras of two are not compared."""
    areas = []
    for source in sorted({f.source for f in files}):
        mine = np.array([f.source == source for f in files])
        area = pooled([f for f in files if f.source == source], score[mine])
        if np.isfinite(area):
            areas.append(area)
    return float(np.mean(areas)) if areas else float("nan")


def pooled(files: Sequence[FaceFile], score: Floats) -> float:
    """Area under the curve of all files together; NaN if a label is missing."""
    fake, found = np.array([f.fake for f in files]), np.isfinite(score)
    real, forged = score[found & ~fake], score[found & fake]
    return area_under_curve(real, forged) if len(real) and len(forged) else float("nan")


def _measured(
    files: Sequence[FaceFile],
    figure: Callable[[Sequence[FaceFile], Floats], float],
    score: Floats,
    first: Floats,
) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rows = {s: [i for i, f in enumerate(files) if f.source == s] for s in {f.source for f in files}}
    # In-page figures of each page once: a drawing of pages only averages them.
    pages = []
    for name in sorted(rows):
        some = [files[i] for i in rows[name]]
        pages.append((figure(some, score[rows[name]]), figure(some, first[rows[name]])))
    both = np.array([page for page in pages if np.isfinite(page).all()])
    drawn = both[rng.integers(0, len(both), (_ROUNDS, len(both)))].mean(axis=1)
    low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
    less = np.quantile(drawn[:, 0] - drawn[:, 1], [0.025, 0.975])
    return {
        "value": round(figure(files, score), 4),
        "mean over pages": round(float(both[:, 0].mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "less the first": round(float((both[:, 0] - both[:, 1]).mean()), 4),
        "its interval": [round(float(it), 4) for it in less],
        "pages": len(both),
    }
