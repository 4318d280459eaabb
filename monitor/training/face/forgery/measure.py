"""Stages that measure the forgery network: dev, unseen pages, what survives, a peer."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monitor.inference.catalogue import VERSION_DIGITS, sha256
from monitor.inference.onnx import Session
from monitor.training.face.forgery.evaluate import (
    WINDOW,
    album_report,
    compared,
    flagged,
    judged,
    page_report,
    threshold_of,
)
from monitor.training.face.forgery.forgery import (
    DATA,
    MODEL,
    WORK,
    dev_files,
    dev_looks,
)
from monitor.training.face.forgery.pairs import held_out, read_points
from monitor.training.face.forgery.peer import Adapter, peer_scores
from monitor.training.face.forgery.slices import slices
from monitor.training.face.forgery.survival import survival
from monitor.training.face.pictures.album import FaceFile, read_album
from monitor.training.face.pictures.crops import Crops
from monitor.training.face.pictures.looks import NATIVE, RENDITIONS, Looks, logits, look

PAGES = Path("build/facepages")


def add(stages: Any) -> None:
    """Add the stages to the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=DATA, help="folder with a manifest.csv")
    common.add_argument("--pages", type=Path, default=PAGES, help="test material, if it is there")
    common.add_argument("--work", type=Path, default=WORK, help="caches and reports")
    common.add_argument("--model", type=Path, default=MODEL)
    dev = stages.add_parser("face-evaluate", parents=[common], help="figures on dev")
    dev.add_argument("--test", action="store_true", help="and on the pages: once, at the end")
    dev.set_defaults(run=_evaluate)
    alive = stages.add_parser("face-survival", parents=[common], help="by size and by bits")
    alive.set_defaults(run=_survival)
    peer = stages.add_parser("face-peer", parents=[common], help="another's scorer beside ours")
    peer.add_argument("--peer", type=Path, required=True, help="an ONNX file")
    peer.add_argument("--size", type=int, default=Adapter().size)
    peer.add_argument("--part", type=int, default=Adapter().part)
    peer.add_argument("--range", type=float, nargs=2, default=(0.0, 1.0), help="black and white")
    peer.add_argument("--sign", type=int, choices=(-1, 1), default=1, help="-1 if high is genuine")
    peer.add_argument("--test", action="store_true", help="and on the pages")
    peer.set_defaults(run=_peer)


def dev_report(files: Sequence[FaceFile], work: Path, session: Session) -> dict[str, Any]:
    """Figures on the dev album, native and re-sent, and its threshold."""
    report: dict[str, Any] = {}
    clips = [f for f in files if f.kind == "video"]
    for name in (NATIVE, *(r.name for r in RENDITIONS)):
        looks = dev_looks(work, name)
        logit = logits(looks, session)
        mine = files if name == NATIVE else clips
        table = judged(mine, looks, logit)
        windows = judged(mine, looks, logit, window=WINDOW)
        report[name] = album_report(table, windows)
        if name == NATIVE:
            report["threshold"] = threshold_of(table)
        report[name]["flagged clips"] = flagged(table.chosen(table.video), report["threshold"])
        report[name]["flagged windows"] = flagged(windows, report["threshold"])
        report[name]["bits per pixel"] = _rounded(np.nanmedian(looks.bits))
    return report


def held_out_report(work: Path, session: Session, threshold: float) -> dict[str, Any]:
    """Share of genuine crops of people kept out of training that reach the threshold."""
    crops = Crops.load(work / "crops.npz")
    aside = crops.chosen(held_out(crops))
    middle = slice(32, -32)
    faces = np.ascontiguousarray(aside.wide[:, middle, middle].transpose(0, 3, 1, 2))
    unknown = np.full(len(aside), np.nan)
    number = np.arange(len(aside))
    looks = Looks(faces, number, aside.time, aside.face_px, *[unknown] * 4)
    logit = logits(looks, session)
    return {
        kind: [_rounded((logit[rows] >= threshold).mean()), int(rows.sum())]
        for kind, rows in (("clip crops", aside.video), ("photographs", ~aside.video))
        if rows.any()
    }


def page_looks(files: Sequence[FaceFile], work: Path) -> Looks:
    """Crops of the test pages, cached."""
    cache = work / f"pages-{len(files)}.npz"
    if not cache.exists():
        look(files, lambda file: file.path).save(cache)
    return Looks.load(cache)


def _evaluate(options: argparse.Namespace) -> None:
    session = Session(options.model)
    report: dict[str, Any] = {"model": sha256(options.model)[:VERSION_DIGITS]}
    report["dev"] = dev_report(dev_files(options.data), options.work, session)
    threshold = report["dev"]["threshold"]
    report["held-out genuine"] = held_out_report(options.work, session, threshold)
    files, looks = dev_files(options.data), dev_looks(options.work, NATIVE)
    crops = Crops.load(options.work / "crops.npz")
    report["genuine by slice"] = slices(files, looks, crops, session, threshold)
    if options.test:
        files = read_album(options.pages)
        looks = page_looks(files, options.work)
        report["pages"] = page_report(judged(files, looks, logits(looks, session)), threshold)
    _write(report, options.work / "report.json")


def _survival(options: argparse.Namespace) -> None:
    crops = Crops.load(options.work / "crops.npz")
    points, _ = read_points(crops, options.work / "teacher")
    twins = np.load(options.work / "twins.npy", mmap_mode="r")
    aside = held_out(crops)
    session = Session(options.model)
    report = survival(crops.chosen(aside), points[aside], twins[:, aside], session)
    _write(report, options.work / "survival.json")


def _peer(options: argparse.Namespace) -> None:
    ours, theirs = Session(options.model), Session(options.peer)
    adapter = Adapter(options.size, options.part, options.range[0], options.range[1], options.sign)
    files = dev_files(options.data)
    looks = dev_looks(options.work, NATIVE)
    table = judged(files, looks, logits(looks, ours), peer_scores(looks, theirs, adapter))
    report = {
        "dev": compared(table, paged=False),
        "dev images": compared(table.chosen(~table.video), paged=False),
        "dev videos": compared(table.chosen(table.video), paged=False),
    }
    if options.test:
        files = read_album(options.pages)
        looks = page_looks(files, options.work)
        table = judged(files, looks, logits(looks, ours), peer_scores(looks, theirs, adapter))
        report["pages"] = compared(table, paged=True)
    _write(report, options.work / f"peer-{options.peer.stem}.json")


def _write(report: dict[str, Any], path: Path) -> None:
    text = json.dumps(report, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def _rounded(value: float) -> float:
    return round(float(value), 4)
