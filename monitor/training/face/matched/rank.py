"""Stages that fit a head on matched pairs, choose its signs, export it and measure it."""

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from monitor.inference.onnx import Session
from monitor.training.face.forgery.export import export_network, read, write
from monitor.training.face.forgery.forgery import MODEL, WORK
from monitor.training.face.forgery.network import LARGE, ForgeryNetwork
from monitor.training.face.matched.gather import PAGES
from monitor.training.face.matched.matched import Signs, signs
from monitor.training.face.matched.pages import TEST
from monitor.training.face.matched.ranked import (
    CONTRAST,
    SEEN,
    HeadPlan,
    Look,
    RankedNetwork,
    fit,
)
from monitor.training.face.pictures.album import FaceFile, read_album
from monitor.training.face.pictures.crops import Crops, collect
from monitor.training.measure.metrics import area_under_curve

_log = logging.getLogger(__name__)
SEEN_SIGNS = 2 * LARGE.stages[-1].width
PLANS = tuple(
    HeadPlan(used, ridge, pointwise)
    for used in ((SEEN,), (CONTRAST,), (SEEN, CONTRAST))
    for ridge in (0.01, 0.03, 0.1, 0.3)
    for pointwise in (0.3, 1.0)
)


def add(stages: Any) -> None:
    """Add the stage to the command line."""
    rank = stages.add_parser("face-rank", help="fit a head on pairs, leave pages out, export")
    rank.add_argument("--pages", type=Path, default=PAGES, help="the album of face-pages")
    rank.add_argument("--work", type=Path, default=WORK, help="caches, and crops of face-crops")
    rank.add_argument("--start", type=Path, default=MODEL, help="the network that sees")
    rank.add_argument("--model", type=Path, required=True, help="the file to write")
    rank.set_defaults(run=_rank)


def _rank(options: argparse.Namespace) -> None:
    network = read(options.start, LARGE)
    found = _signs(options, network)
    report: dict[str, Any] = {"parts": sorted(set(found.part.tolist()))}
    report["plans"] = judged = [left_out(found, plan) for plan in PLANS]
    best = int(np.argmax([it["objective"] for it in judged]))
    report["chosen"] = judged[best]
    head = fit(found, np.ones(len(found.real), bool), SEEN_SIGNS, PLANS[best])
    difference = export_network(RankedNetwork(network, head), options.model)
    report["difference"] = difference
    (options.work / "rank.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for line in judged:
        _log.info("%s", line)
    print(json.dumps(report["chosen"]))


def left_out(found: Signs, plan: HeadPlan) -> dict[str, Any]:
    """Each part scored by a head that was fitted without its page: how many pairs are in order.

    `objective` is the mean over pages of that share and of the area under the curve within each.
    """
    order, areas = [], []
    scores = np.zeros((2, len(found.real)))
    for part in np.unique(found.part):
        mine = found.part == part
        head = fit(found, ~mine, SEEN_SIGNS, plan)
        scores[:, mine] = head(found.real[mine]), head(found.fake[mine])
    for source in np.unique(found.source):
        mine = found.source == source
        order.append(float((scores[1, mine] > scores[0, mine]).mean()))
        areas.append(area_under_curve(scores[0, mine], scores[1, mine]))
    pages = {str(s): round(o, 3) for s, o in zip(np.unique(found.source), order, strict=True)}
    return {
        **asdict(plan),
        "objective": float(np.mean(order) + np.mean(areas)) / 2,
        "in order": round(float(np.average(scores[1] > scores[0], weights=found.weight)), 4),
        "area within pages": round(float(np.mean(areas)), 4),
        "area": round(area_under_curve(scores[0], scores[1]), 4),
        "pages": pages,
    }


def _signs(options: argparse.Namespace, network: ForgeryNetwork) -> Signs:
    cache = options.work / "signs.npz"
    if cache.exists():
        with np.load(cache) as file:
            return Signs(**{f.name: file[f.name] for f in fields(Signs)})
    files = [f for f in read_album(options.pages) if f.split != TEST and f.pair]
    crops = _pair_crops(files, options.work / "pairs.npz")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "look.onnx"
        write(Look(network), path, ("signs", "border"))
        genuine = Crops.load(options.work / "crops.npz")
        found = signs(files, crops, genuine, Session(path))
    np.savez(cache, **{f.name: getattr(found, f.name) for f in fields(Signs)})
    return found


def _pair_crops(files: Sequence[FaceFile], cache: Path) -> Crops:
    if not cache.exists():
        collect(files).save(cache)
    return Crops.load(cache)
