"""Clones of the pages in pages.toml → an album: one file for each face, cut out without loss."""

import argparse
import csv
import hashlib
import io
import logging
import os
import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from monitor.training.face.matched.pages import REAL, Box, Cut, Member, Page, load_pages, splits
from monitor.training.face.pictures.album import COLUMNS, MANIFEST, WIDEST

PAGES = Path("build/facepages")
_SECONDS = 6.0
"""Of a clip that are kept: two windows."""
_RATE = 12.5
"""Pictures a second that are kept, about: the service looks at two."""
_STILLS = (".png", ".jpg", ".jpeg")

Pixels = NDArray[np.uint8]
_log = logging.getLogger(__name__)


def add(stages: Any) -> None:
    """Add the stage to the command line."""
    pages = stages.add_parser("face-pages", help="clones of the pages in pages.toml → an album")
    pages.add_argument("clones", type=Path, help="folder of clones, each named owner+name")
    pages.add_argument("--out", type=Path, default=PAGES, help="the album's folder")
    pages.add_argument("--source", nargs="*", help="only these repositories; others keep lines")
    pages.set_defaults(run=_pages)


def _pages(options: argparse.Namespace) -> None:
    gather(load_pages(), options.clones, options.out, options.source)


def gather(
    pages: Sequence[Page], clones: Path, out: Path, only: Sequence[str] | None = None
) -> None:
    """Write every member that can be cut, and after each page the manifest.

    What cannot be cut is logged, a face that an earlier page shows as well is left out, and files
    that are there already are kept as they are.
    """
    drawn, seen = splits(pages), set[tuple[str, Cut]]()
    out.mkdir(parents=True, exist_ok=True)
    for page in pages:
        clone = clones / page.source.replace("/", "+")
        if only and page.source not in only:
            continue
        if not clone.is_dir():
            _log.warning("%s: no clone", page.source)
            continue
        rows = list(_page(page, clone, out, drawn[page.source], seen))
        _log.info("%s: %d faces", page.source, len(rows))
        _write(out / MANIFEST, page.source, rows)


def _write(manifest: Path, source: str, rows: list[dict[str, Any]]) -> None:
    """The lines of one page anew; those of others stay."""
    if manifest.exists():
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = [line for line in csv.DictReader(file) if line["source"] != source] + rows
    part = manifest.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    part.replace(manifest)


def _page(
    page: Page, clone: Path, out: Path, split: str, seen: set[tuple[str, Cut]]
) -> Iterator[dict[str, Any]]:
    for number, member in enumerate(page.members):
        data = _blob(clone, page.commit, member.file)
        face = hashlib.sha256(data).hexdigest(), member.cut
        if face in seen:
            continue
        seen.add(face)
        stem = f"{page.source.replace('/', '+')}-{number:03d}"
        try:
            if member.file.lower().endswith(_STILLS):
                about = _still(data, member, out / f"{stem}.png")
            else:
                target = out / f"{stem}.mkv"
                if not target.exists():
                    _clip(member, data, target)
                about = _described(target)
        except (av.FFmpegError, OSError, ValueError) as error:
            _log.warning("%s: %s: %s", page.source, member.file, error)
            continue
        group = member.pair or member.file
        yield {
            **about,
            "label": REAL if member.method == REAL else "fake",
            "method": "human" if member.method == REAL else member.method,
            "method_family": "human" if member.method == REAL else page.family,
            "identity_group": f"{page.source} {group}",
            "pair": f"{page.source} {member.pair}" if member.pair else "",
            "source": page.source,
            "licence": page.licence,
            "split": split,
            "has_audio": 0,
        }


def _blob(clone: Path, commit: str, path: str) -> bytes:
    alone = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    command = ("git", "-C", str(clone), "cat-file", "blob", f"{commit}:{path}")
    return subprocess.run(command, check=True, capture_output=True, env=alone).stdout


def _still(data: bytes, member: Member, target: Path) -> dict[str, Any]:
    # Boxes of a few pages lie in pictures larger than Pillow warns of; none is a bomb.
    image = Picture.open(io.BytesIO(data)).convert("RGB")
    image = image.crop(member.cut.box(image.width, image.height))
    image.thumbnail((WIDEST, WIDEST))
    image.save(target)
    return {
        "path": target.name,
        "kind": "image",
        "width": image.width,
        "height": image.height,
    }


def _clip(member: Member, data: bytes, target: Path) -> None:
    """Write the first seconds of the cut, every pixel as it was decoded."""
    partial = target.with_suffix(".part.mkv")
    with av.open(str(partial), "w") as out:
        stream = None
        for number, (pixels, rate) in enumerate(_shown(member.file, data)):
            if number >= _SECONDS * rate:
                break
            box = member.cut.box(pixels.shape[1], pixels.shape[0])
            frame = av.VideoFrame.from_ndarray(_even(pixels, box), format="rgb24")
            if stream is None:
                stream = out.add_stream("libx264rgb", rate=rate)
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt = "rgb24"
                stream.options = {"qp": "0", "preset": "ultrafast"}
            scaled = frame.reformat(stream.width, stream.height, "rgb24")
            scaled.pts, scaled.time_base = number, 1 / rate
            out.mux(stream.encode(scaled))
        if stream is None:
            raise ValueError("no picture")
        out.mux(stream.encode(None))
    partial.rename(target)


def _described(clip: Path) -> dict[str, Any]:
    with av.open(str(clip), "r") as container:
        video = container.streams.video[0]
        rate = video.average_rate or Fraction(25)
        count = sum(1 for packet in container.demux(video) if packet.size)
        return {
            "path": clip.name,
            "kind": "video",
            "width": video.width,
            "height": video.height,
            "fps": round(float(rate), 3),
            "duration_s": round(float(count / rate), 3),
        }


def _even(pixels: Pixels, box: Box) -> Pixels:
    left, top, right, bottom = box
    part = pixels[top:bottom, left:right]
    step = -(-max(part.shape[:2]) // WIDEST)
    if step > 1:
        small = Picture.fromarray(part).reduce(step)
        part = np.asarray(small)
    return np.ascontiguousarray(part[: part.shape[0] // 2 * 2, : part.shape[1] // 2 * 2])


def _shown(name: str, data: bytes) -> Iterator[tuple[Pixels, Fraction]]:
    """Pictures (rows, columns, 3) and their rate; FFmpeg reads no animated WebP, Pillow does."""
    if name.lower().endswith(".webp"):
        with Picture.open(io.BytesIO(data)) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
                rate = Fraction(1000, int(image.info.get("duration") or 40))
                yield np.asarray(image.convert("RGB")), rate
        return
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        rate = video.average_rate or Fraction(25)
        step = max(1, round(rate / _RATE))
        for number, frame in enumerate(container.decode(video)):
            if number % step == 0:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), rate / step
