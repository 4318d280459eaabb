"""python -m monitor.training voice-data | voice-train | voice-export | voice-score | ..."""

import argparse
import json
import logging
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from monitor.inference.catalogue import VERSION_DIGITS, sha256
from monitor.training import callreport
from monitor.training.audit import trivial_probe
from monitor.training.callset import plain_calls
from monitor.training.clips import TWINS_FILE, Clip, load_clips, trained_generators
from monitor.training.evaluate import lengths, report
from monitor.training.export import export_network
from monitor.training.floor import floor
from monitor.training.judge import DevelopmentSet
from monitor.training.library import Library, build_library
from monitor.training.pages import build, load_pages
from monitor.training.peer import compared, score_both
from monitor.training.policy import policy_text
from monitor.training.prepare import (
    COPY_FAMILIES,
    ENGINE_STORE,
    EngineFiles,
    copy_store,
    kokoro_store,
    open_speech,
    speech_store,
)
from monitor.training.scoring import CHANNELS, Table, load_table, save_table, score_clips
from monitor.training.store import AudioStore, exists
from monitor.training.tables import markdown
from monitor.training.train import BEST, Trainer, TrainingPlan, load_network
from monitor.training.twins import twins
from monitor.training.vocoder import VOCODERS
from monitor.training.vocoder_fit import fit_vocoder

DATA = Path("../shared/data/speech")
PAGES = Path("build/pages")
WORK = Path("build/voice")
MODEL = Path("models/voice/model.onnx")
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
        "voice-twins", parents=[common], help="list test recordings that training holds as well"
    )
    shared.set_defaults(run=_twins)

    train = stages.add_parser(
        "voice-train", parents=[common], help="train, or go on from the last checkpoint"
    )
    plan = TrainingPlan()
    train.add_argument("--name", default="run", help="folder of the run inside the work folder")
    train.add_argument("--steps", type=int, default=plan.steps)
    train.add_argument("--minutes", type=float, default=plan.minutes)
    train.add_argument("--seed", type=int, default=plan.seed)
    train.add_argument("--threads", type=int, default=plan.threads)
    train.add_argument("--workers", type=int, default=plan.workers)
    train.set_defaults(run=_train)

    export = stages.add_parser(
        "voice-export", parents=[common], help="checkpoint → models/voice/model.onnx"
    )
    export.add_argument("--name", default="run")
    export.set_defaults(run=_export)

    score = stages.add_parser("voice-score", parents=[common], help="score all held-out windows")
    score.set_defaults(run=_score)

    evaluate = stages.add_parser(
        "voice-evaluate", parents=[common], help="report on the scored windows"
    )
    evaluate.add_argument("--lengths", action="store_true", help="also 1, 2, 4 and 8 s windows")
    evaluate.set_defaults(run=_evaluate)

    peer = stages.add_parser(
        "voice-peer", parents=[common], help="somebody else's scorer on the same test clips"
    )
    peer.add_argument("--peer", type=Path, required=True, help="ONNX: waveform → one number")
    peer.add_argument("--samples", type=int, default=64_600, help="what the peer takes")
    peer.set_defaults(run=_peer)

    floors = stages.add_parser(
        "voice-floor", parents=[common], help="a linear rule on cepstra, on the same data"
    )
    floors.set_defaults(run=_floor)

    policy = stages.add_parser(
        "voice-policy", parents=[common], help="calibration, thresholds and certificate"
    )
    policy.add_argument("--decision", type=Path, default=DECISION)
    policy.add_argument("--date", default=datetime.now(UTC).date().isoformat())
    policy.set_defaults(run=_policy)

    calls = stages.add_parser(
        "calls-evaluate", parents=[common], help="false alarms and detection of whole calls"
    )
    calls.set_defaults(run=_calls)

    audit = stages.add_parser(
        "voice-audit", parents=[common], help="what features without any listening reach"
    )
    audit.set_defaults(run=_audit)
    return parser


def _paths(text: str) -> list[Path]:
    return [Path(name) for name in text.split(":")]


def _pages(options: argparse.Namespace) -> None:
    build(load_pages(), options.clones, options.out)


def _twins(options: argparse.Namespace) -> None:
    found = twins(open_speech(options.work))
    TWINS_FILE.write_text("".join(f"{path}\n" for path in found), encoding="utf-8")
    print(len(found), "test recordings are left out")


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


def load_library(work: Path, speech: AudioStore) -> Library:
    """The library of every store that was prepared."""
    names = [f"copy-{method}" for method in COPY_FAMILIES] + [ENGINE_STORE]
    copies = [AudioStore(work, name) for name in names if exists(work, name)]
    return build_library(speech, copies)


def _train(options: argparse.Namespace) -> None:
    plan = TrainingPlan(
        steps=options.steps,
        minutes=options.minutes,
        seed=options.seed,
        threads=options.threads,
        workers=options.workers,
    )
    speech = open_speech(options.work)
    trainer = Trainer(load_library(options.work, speech), options.work / options.name, plan)
    development = DevelopmentSet(speech)
    # A stopped run saves its checkpoint, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(trainer.run(development.measure))


def _export(options: argparse.Namespace) -> None:
    network = load_network(options.work / options.name / BEST)
    difference = export_network(network, options.model)
    print(json.dumps({"sha256": sha256(options.model), "largest_difference": difference}))


def _score(options: argparse.Namespace) -> None:
    table = _scored(options, load_clips(*options.data))
    print(len(table["logit"]), "windows of", len(np.unique(table["clip"])), "clips")


def _scored(options: argparse.Namespace, clips: Sequence[Clip]) -> Table:
    """The held-out windows under the model, from the last time if it is the same file."""
    path: Path = options.work / f"windows-{sha256(options.model)[:VERSION_DIGITS]}.npz"
    if not path.exists():
        table = score_clips(clips, options.model, processes=options.processes)
        save_table(table, path)
    return load_table(path)


def _evaluate(options: argparse.Namespace) -> None:
    clips = load_clips(*options.data)
    found = report(_scored(options, clips), trained_generators(clips))
    if options.lengths:
        found["lengths"] = lengths(clips, options.model, options.processes)
    (options.work / "report.json").write_text(json.dumps(found, indent=1))
    print(markdown(found))


def _peer(options: argparse.Namespace) -> None:
    clips = load_clips(*options.data)
    table = score_both(clips, options.model, options.peer, options.samples, options.processes)
    print(json.dumps({channel: compared(table, channel) for channel in CHANNELS}, indent=1))


def _floor(options: argparse.Namespace) -> None:
    print(json.dumps(floor(options.work, options.processes), indent=1))


def _policy(options: argparse.Namespace) -> None:
    clips, cache = load_clips(*options.data), options.work / CALLS
    calls = plain_calls(clips, options.model, cache, options.processes)
    text = policy_text(calls, sha256(options.model)[:VERSION_DIGITS], options.date)
    options.decision.parent.mkdir(parents=True, exist_ok=True)
    options.decision.write_text(text, encoding="utf-8")
    print(json.dumps({"sha256": sha256(options.decision), "calls": len(calls)}))


def _calls(options: argparse.Namespace) -> None:
    folder = options.work / CALLS
    clips = load_clips(*options.data)
    callreport.evaluate_calls(clips, options.model, folder, options.processes)
    print((folder / "report.md").read_text(encoding="utf-8"))


def _audit(options: argparse.Namespace) -> None:
    print(json.dumps(trivial_probe(open_speech(options.work)), indent=1))


if __name__ == "__main__":
    main()
