"""Folders of face photographs and clips with a manifest → files with labels, and their pictures."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image as Picture

from monitor.ingest.codecs.convert import VideoSampler
from monitor.types import Image
from monitor.types.sampling import Sampling

MANIFEST = "manifest.csv"
COLUMNS = (
    *("path", "kind", "label", "method", "method_family", "identity_group", "pair", "source"),
    *("licence", "split", "width", "height", "fps", "duration_s", "has_audio"),
)
WIDEST = 1280
"""Pixels; wider pictures are scaled down, as the service does."""


@dataclass(frozen=True, slots=True)
class FaceFile:
    """One line of a manifest."""

    path: Path
    kind: str
    """`image` or `video`."""
    fake: bool
    method: str
    family: str
    group: str
    """One person where that is known."""
    source: str
    split: str
    fps: float
    """0 for a photograph."""
    seconds: float
    """0 for a photograph."""
    audio: bool
    pair: str = ""
    """Files of one pair show the same picture, genuine and forged; empty without a partner."""


def read_album(folder: Path) -> list[FaceFile]:
    """Read `manifest.csv`; raises OSError or ValueError naming the line that is wrong."""
    found = []
    with (folder / MANIFEST).open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                found.append(
                    FaceFile(
                        path=folder / row["path"],
                        kind=row["kind"],
                        fake=row["label"] == "fake",
                        method=row["method"],
                        family=row["method_family"],
                        group=row["identity_group"],
                        source=row["source"],
                        split=row["split"],
                        fps=float(row["fps"] or 0),
                        seconds=float(row["duration_s"] or 0),
                        audio=row["has_audio"] == "1",
                        pair=row.get("pair") or "",
                    )
                )
            except (KeyError, ValueError) as error:
                raise ValueError(f"{folder / MANIFEST}:{number}: {error}") from error
    return found


def pictures(path: Path, fps: float = 60.0) -> Iterator[tuple[float, Image]]:
    """Yield (seconds, RGB picture) of a photograph or a clip, at most `fps` a second.

    Converted as the service does. Raises av.error.FFmpegError for a file that cannot be read.
    """
    if path.suffix == ".png":
        # Long runs over many small files of odd sizes crashed in FFmpeg's bindings.
        with Picture.open(path) as image:
            image.thumbnail((WIDEST, WIDEST))
            yield 0.0, np.asarray(image.convert("RGB"))
        return
    sampler = VideoSampler(Sampling.steady(fps), WIDEST)
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            time = float(frame.time or 0.0)
            picture = sampler.sample(frame, time)
            if picture is not None:
                yield time, picture()
