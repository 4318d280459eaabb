"""What each physical cue says of genuine clips and of broken ones, and how often it abstains."""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from monitor.analysis.cascade import Cascade
from monitor.analysis.landmarker import Landmarker
from monitor.analysis.sound import mel_bands
from monitor.detectors.blink import Blink
from monitor.detectors.expression import Expression
from monitor.detectors.facial_hair import FacialHair
from monitor.detectors.lighting import Lighting
from monitor.detectors.lipsync import LipSync
from monitor.detectors.pulse import Pulse
from monitor.detectors.reflections import Reflections
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.face.cues.counterexamples import CASES
from monitor.training.face.cues.cuewindows import (
    clip_window,
    renditions,
    service_window,
    still_window,
)
from monitor.training.face.pictures.album import FaceFile, read_album
from monitor.training.face.pictures.looks import NATIVE
from monitor.training.measure.metrics import area_under_curve
from monitor.types import CueWindow, Reading
from monitor.types.protocols import Cue

_log = logging.getLogger(__name__)
WORK = Path("build/faces/cues")
SENT = {"720p": (720, 1_500_000), "480p": (480, 800_000), "360p": (360, 500_000)}
"""Lines and bits a second of a call, for clips that have as many lines."""


_EACH = 8
"""One photograph in so many."""


def cues(catalogue: Catalogue) -> tuple[Cue, ...]:
    """Every cue, as in the service."""
    return (
        LipSync(catalogue.verified("lips")), Blink(catalogue.verified("eyes")), Expression(),
        Lighting(), FacialHair(), Reflections(), Pulse(),
    )  # fmt: skip


def said(measuring: Sequence[Cue], windows: Iterable[CueWindow]) -> dict[str, dict[str, int]]:
    """How often each cue had a value, or why it had none."""
    found: dict[str, Counter[str]] = {cue.name: Counter() for cue in measuring}
    for window in windows:
        for cue in measuring:
            found[cue.name][_outcome(cue.measure(window))] += 1
    return {name: dict(counts.most_common()) for name, counts in found.items()}


def against_broken(cue: Cue, windows: Iterable[CueWindow]) -> dict[str, Any]:
    """A cue on genuine windows and on the same ones with what it looks at broken.

    `higher`: share of the windows measured both times whose broken value is the higher one.
    """
    prepare, breaking = CASES[cue.name]
    outcomes = {"genuine": Counter[str](), "broken": Counter[str]()}
    both: list[tuple[float, float]] = []
    for window in windows:
        before = cue.measure(prepare(window) if prepare else window)
        after = cue.measure(breaking(window))
        outcomes["genuine"][_outcome(before)] += 1
        outcomes["broken"][_outcome(after)] += 1
        if before.value is not None and after.value is not None:
            both.append((before.value, after.value))
    genuine, broken = np.array(both).reshape(-1, 2).T
    report: dict[str, Any] = {name: dict(counts) for name, counts in outcomes.items()}
    report["both measured"] = len(both)
    if both:
        report |= {
            "median": [round(float(np.median(v)), 3) for v in (genuine, broken)],
            "higher": round(float((broken > genuine).mean()), 3),
            "auc": round(area_under_curve(genuine, broken), 3),
        }
    return report


def _lines(path: Path) -> int:
    with av.open(str(path)) as container:
        return int(container.streams.video[0].height)


def _outcome(reading: Reading) -> str:
    return "measured" if reading.reason is None else str(reading.reason)


def evaluate(
    files: Sequence[FaceFile],
    stills: Sequence[FaceFile],
    work: Path,
    models: Path,
    labels: Path | None,
) -> dict[str, Any]:
    """All of it for genuine clips; landmarks are the service's, or the teacher's in `labels`.

    With the teacher's, photographs are held before the camera too: few clips show eyes as large.
    """
    catalogue = Catalogue(models)
    measuring = cues(catalogue)
    cascade, landmarker = Cascade(), Landmarker(catalogue.verified("landmarks"))

    def windows(clips: Sequence[FaceFile], sources: Sequence[FaceFile]) -> list[CueWindow]:
        found = []
        for clip, source in zip(clips, sources, strict=True):
            sound = mel_bands(decode_audio(source.path)) if source.audio else None
            window = service_window(clip.path, cascade, landmarker, sound)
            if window is not None:
                found.append(window)
        return found

    if labels is not None:
        native = [w for f in files if (w := clip_window(f, labels)) is not None]
    else:
        native = windows(files, files)
    report: dict[str, Any] = {"clips": len(files), "with a face": len(native)}
    report["broken"] = {cue.name: against_broken(cue, native) for cue in measuring}
    if labels is not None:
        shown = [w for f in stills if (w := still_window(f, labels)) is not None]
        report["photographs"] = against_broken(Reflections(), shown)
    report["sent"] = {NATIVE: said(measuring, native)}
    if labels is None:
        for name, (lines, bit_rate) in SENT.items():
            _log.info("clips at %s", name)
            tall = [file for file in files if _lines(file.path) >= lines]
            sent = renditions(tall, work / name, lines, bit_rate)
            report["sent"][f"{name}, {len(tall)} clips"] = said(measuring, windows(sent, tall))
    return report


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("face-cues", help="what each cue says of an album's clips")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--work", type=Path, default=WORK, help="clips sent again")
    parser.add_argument("--models", type=Path, default=default_folder())
    parser.add_argument("--labels", type=Path, help="the teacher's landmarks instead")

    def run(options: argparse.Namespace) -> None:
        genuine = [f for f in read_album(options.data) if not f.fake]
        clips = [f for f in genuine if f.kind == "video"]
        stills = [f for f in genuine if f.kind == "image"][::_EACH]
        report = evaluate(clips, stills, options.work, options.models, options.labels)
        text = json.dumps(report, indent=1)
        options.work.mkdir(parents=True, exist_ok=True)
        (options.work / "report.json").write_text(text + "\n", encoding="utf-8")
        print(text)

    parser.set_defaults(run=run)
