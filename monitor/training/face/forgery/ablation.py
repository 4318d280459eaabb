"""Runs that differ in one thing: equally long, and measured on the same forgeries and files."""

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.training.face.forgery.evaluate import judged
from monitor.training.face.forgery.fit import BEST, CHECKPOINT, FitPlan, Trainer, load_network
from monitor.training.face.forgery.forgery import (
    ARMS,
    DATA,
    WORK,
    dev_files,
    dev_looks,
    judged_pairs,
    makers,
    weights_path,
)
from monitor.training.face.forgery.judge import scores
from monitor.training.face.forgery.network import (
    LARGE,
    SMALL,
    ForgeryNetwork,
    Layout,
    load_imagenet,
)
from monitor.training.face.forgery.pairs import PairPlan
from monitor.training.face.forgery.ranking import Judged, auc, auc_difference, measured
from monitor.training.face.pictures.looks import NATIVE

_log = logging.getLogger(__name__)
RUNS: Mapping[str, tuple[str, Layout]] = {
    "full": ("full", LARGE),
    "self-blends only": ("blend", LARGE),
    "all kinds": ("kinds", LARGE),
    "small": ("full", SMALL),
    "all kinds, degraded": ("degraded", LARGE),
    "all kinds, degraded, levelled": ("levelled", LARGE),
}
"""By name: what it is trained on, and its size. The full one also draws hard recipes more often;
the small one has no ImageNet weights to start from."""


def add(stages: Any) -> None:
    """Add the stages to the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=DATA, help="folder with a manifest.csv")
    common.add_argument("--work", type=Path, default=WORK, help="caches and checkpoints")
    ablate = stages.add_parser("face-ablate", parents=[common], help="equal runs, then face-arms")
    ablate.add_argument("--steps", type=int, default=400, help="of each run")
    ablate.add_argument("--seed", type=int, default=FitPlan().seed)
    ablate.add_argument("--weights", type=Path, help="ImageNet weights of EfficientNet-Lite0")
    ablate.set_defaults(run=_ablate)
    arms = stages.add_parser("face-arms", parents=[common], help="runs beside each other")
    arms.add_argument("names", nargs="+", help="folders of runs; the first one is the measure")
    arms.set_defaults(run=_arms)


def _ablate(options: argparse.Namespace) -> None:
    """Go on with whatever run has not ended; what has ended is not run again."""
    folder = options.work / f"ablation-{options.steps}"
    networks = {}
    for name, (arm, layout) in RUNS.items():
        learn, _ = makers(options.work, ARMS[arm], options.seed)
        network = ForgeryNetwork(layout)
        if layout is LARGE:
            load_imagenet(network, options.weights or weights_path())
        frozen = FitPlan().frozen if layout is LARGE else 0
        plan = FitPlan(minutes=1e6, steps=options.steps, frozen=frozen, seed=options.seed)
        run = folder / name.replace(", ", "-").replace(" ", "-")
        _log.info("%s: %s", name, Trainer(network, learn, run, plan).run())
        networks[name] = load_network(run / CHECKPOINT)
        _report(beside(options.work, options.data, networks), folder / "report.json")


def _arms(options: argparse.Namespace) -> None:
    networks = {name: load_network(options.work / name / BEST) for name in options.names}
    _report(beside(options.work, options.data, networks), options.work / "arms.json")


def _report(report: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(report, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def beside(work: Path, data: Path, networks: Mapping[str, ForgeryNetwork]) -> dict[str, Any]:
    """Every network on the same forgeries of held-out people, and on dev; the first is the
    measure of the others.
    """
    maker = makers(work, PairPlan(), 0)[1]
    pairs = judged_pairs(maker)
    kinds = np.array([maker.recipes.all[pair.recipe].kind for pair in pairs])
    faces = np.concatenate([pair.faces for pair in pairs]).transpose(0, 3, 1, 2)
    files = dev_files(data)
    looks = dev_looks(work, NATIVE)
    first: list[NDArray[np.float64]] = []
    report: dict[str, Any] = {}
    for name, network in networks.items():
        found = [scores(network, faces), scores(network, looks.crops)]
        first = first or found
        made = synthetic(found[0], first[0], kinds)
        real = judged(files, looks, found[1], first[1])
        parts = {
            "synthetic": made,
            "dev": real,
            "dev images": real.chosen(~real.video),
            "dev videos": real.chosen(real.video),
        }
        report[name] = {
            kind: {"auc": measured(part, auc), "less the first": measured(part, auc_difference)}
            for kind, part in parts.items()
        }
        report[name]["by kind"] = {
            str(kind): measured(made.chosen(made.method == kind), auc) for kind in np.unique(kinds)
        }
    return report


def synthetic(
    logit: NDArray[np.float64], rival: NDArray[np.float64], kinds: NDArray[np.str_]
) -> Judged:
    """Logits of pairs in order, (2 x pairs,), as a table in which a pair is one group.

    `kinds` (pairs,) says how each was forged; it is the method of both members.
    """
    count = len(logit)
    fake = np.arange(count) % 2 == 1
    return Judged(
        score=logit,
        rival=rival,
        fake=fake,
        group=np.array([str(i // 2) for i in range(count)]),
        source=np.array(["held out"] * count),
        family=np.where(fake, "synthetic", "human"),
        method=np.repeat(kinds, 2),
        video=np.zeros(count, bool),
    )
