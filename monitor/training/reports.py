"""The stages that measure: each reads what was prepared or trained and prints figures."""

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from monitor.inference.catalogue import VERSION_DIGITS, sha256
from monitor.training.calls import callreport
from monitor.training.calls.callset import plain_calls
from monitor.training.calls.policy import policy_text
from monitor.training.calls.scored_calls import voice_model
from monitor.training.data.clips import Clip, Split, load_clips, spread, trained_generators
from monitor.training.data.prepare import load_library, open_speech
from monitor.training.measure import ablation
from monitor.training.measure.audit import trivial_probe
from monitor.training.measure.coded import coded
from monitor.training.measure.denoised import denoised
from monitor.training.measure.evaluate import lengths, report
from monitor.training.measure.floor import floor
from monitor.training.measure.gathered import by_speech
from monitor.training.measure.judge import DevelopmentSet
from monitor.training.measure.peer import OUR_SAMPLES, compared, score_beginnings
from monitor.training.measure.scoring import CHANNELS, Table, load_table, save_table, score_clips
from monitor.training.measure.tables import markdown
from monitor.training.voice.train import TrainingPlan

CALLS = "calls"
DECISION = Path("models/decision/voice.json")


def add_reports(stages: Any, common: argparse.ArgumentParser) -> None:
    """Add the stages' parsers; each sets `run`."""
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
    peer.add_argument("--most", type=int, default=1000, help="clips of one source and label")
    peer.set_defaults(run=_peer)

    compare = stages.add_parser(
        "voice-compare", parents=[common], help="another file of ours on all held-out windows"
    )
    compare.add_argument("--other", type=Path, required=True, help="the other file")
    compare.set_defaults(run=_compare)

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

    cleaned = stages.add_parser(
        "voice-denoised", parents=[common], help="false alarms on speech after noise removal"
    )
    cleaned.add_argument("--most", type=int, default=1000, help="recordings of one speaker")
    cleaned.set_defaults(run=_denoised)

    codecs = stages.add_parser(
        "voice-codecs", parents=[common], help="errors and false alarms through each codec"
    )
    codecs.add_argument("--most", type=int, default=12, help="clips of one source and label")
    codecs.set_defaults(run=_codecs)

    ablate = stages.add_parser(
        "voice-ablate", parents=[common], help="equal short runs that differ in one thing"
    )
    arms = ", ".join(ablation.ARMS)
    ablate.add_argument(
        "--arms",
        nargs="+",
        default=list(ablation.ARMS),
        help=f"of {arms}; or 'without family F', 'without source S'",
    )
    ablate.add_argument("--steps", type=int, default=600)
    ablate.add_argument("--seeds", type=int, nargs="+", default=[1])
    ablate.add_argument("--threads", type=int, default=1)
    ablate.set_defaults(run=_ablate)


def _score(options: argparse.Namespace) -> None:
    table = _scored(options, load_clips(*options.data), options.model)
    print(len(table["logit"]), "windows of", len(np.unique(table["clip"])), "clips")


def _scored(options: argparse.Namespace, clips: Sequence[Clip], model: Path) -> Table:
    """The held-out windows under a model."""
    return _kept(
        options.work / f"windows-{voice_model(model).version}.npz",
        partial(score_clips, clips, model, processes=options.processes),
    )


def _kept(path: Path, make: Callable[[], Table]) -> Table:
    """A table from the last time, or made now."""
    if not path.exists():
        save_table(make(), path)
    return load_table(path)


def _evaluate(options: argparse.Namespace) -> None:
    clips = load_clips(*options.data)
    table = _scored(options, clips, options.model)
    found = report(table, trained_generators(clips))
    found["by_speech"] = by_speech(table)
    if options.lengths:
        found["lengths"] = lengths(clips, options.model, options.processes)
    (options.work / "report.json").write_text(json.dumps(found, indent=1))
    print(markdown(found))


def _peer(options: argparse.Namespace) -> None:
    clips = spread(load_clips(*options.data), options.most, {Split.TEST})
    ours, other = (
        _kept(
            options.work / f"clips-{options.most}-{sha256(model)[:VERSION_DIGITS]}.npz",
            partial(score_beginnings, clips, model, samples, options.processes),
        )
        for model, samples in ((options.model, OUR_SAMPLES), (options.peer, options.samples))
    )
    _print_comparison(ours, other)


def _compare(options: argparse.Namespace) -> None:
    clips = load_clips(*options.data)
    _print_comparison(*(_scored(options, clips, model) for model in (options.model, options.other)))


def _print_comparison(ours: Table, other: Table) -> None:
    print(json.dumps({channel: compared(ours, other, channel) for channel in CHANNELS}, indent=1))


def _floor(options: argparse.Namespace) -> None:
    print(json.dumps(floor(options.work, options.processes), indent=1))


def _policy(options: argparse.Namespace) -> None:
    clips, cache = load_clips(*options.data), options.work / CALLS
    calls = plain_calls(clips, options.model, cache, options.processes)
    text = policy_text(calls, voice_model(options.model).version, options.date)
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


def _denoised(options: argparse.Namespace) -> None:
    found = denoised(options.work, options.model, options.most, options.processes)
    print(json.dumps(found, indent=1))


def _codecs(options: argparse.Namespace) -> None:
    clips = load_clips(*options.data)
    found = coded(clips, options.model, options.most, options.processes)
    print(json.dumps(found, indent=1))


def _ablate(options: argparse.Namespace) -> None:
    speech, folder = open_speech(options.work), options.work / "ablation"
    library, development = load_library(options.work, speech), DevelopmentSet(speech)
    lines = []
    for seed in options.seeds:
        plan = TrainingPlan(steps=options.steps, seed=seed, threads=options.threads)
        base = ablation.train_arm(library, folder, ablation.BASE, plan)
        for name in options.arms:
            trained = ablation.train_arm(library, folder, name, plan)
            lines.append({"seed": seed, **ablation.rung(name, trained, base, development, speech)})
            # After every arm: a stopped ladder keeps its rungs.
            (options.work / "ablation.json").write_text(json.dumps(lines, indent=1))
            print(ablation.markdown(lines[-1:]), flush=True)
    print(ablation.markdown(lines))
