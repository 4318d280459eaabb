"""What each physical cue says of the clips of an album, and how often it says nothing."""

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

from monitor.detectors.blink import Blink
from monitor.detectors.expression import Expression
from monitor.detectors.facial_hair import FacialHair
from monitor.detectors.lighting import Lighting
from monitor.detectors.pulse import Pulse
from monitor.detectors.reflections import Reflections
from monitor.protocols import Cue
from monitor.training.face import teacher
from monitor.training.face.album import FaceFile, read_album
from monitor.training.face.cuewindows import clip_window

CUES: tuple[Cue, ...] = (
    Blink(), Expression(), FacialHair(), Lighting(), Pulse(), Reflections()
)  # fmt: skip


def measured(files: list[FaceFile], labels: Path) -> dict[str, dict[str, object]]:
    """Values and reasons by cue, genuine and forged clips apart; landmarks are the teacher's."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for file in files:
        window = clip_window(file, labels)
        if window is None:
            continue
        label = "fake" if file.fake else "genuine"
        for cue in CUES:
            reading = cue.measure(window)
            reasons[cue.name, label][str(reading.reason or "measured")] += 1
            if reading.value is not None:
                values[cue.name, label].append(round(reading.value, 3))
    return {
        cue.name: {
            label: {
                "outcomes": dict(reasons[cue.name, label]),
                "values": sorted(values[cue.name, label]),
            }
            for label in ("genuine", "fake")
        }
        for cue in CUES
    }


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("cues-evaluate", help="what each cue says of an album's clips")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--labels", type=Path, default=teacher.WORK)

    def run(options: argparse.Namespace) -> None:
        clips = [file for file in read_album(options.data) if file.kind == "video"]
        print(json.dumps(measured(clips, options.labels), indent=1))

    parser.set_defaults(run=run)
