"""Labelled speech from public demonstration pages: the rules of pages.toml applied to clones."""

import csv
import hashlib
import io
import logging
import os
import re
import subprocess
import tomllib
import wave
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

PAGES_FILE = Path(__file__).with_name("pages.toml")
MANIFEST = "manifest.csv"
COLUMNS = (
    *("path", "label", "generator", "generator_family", "speaker", "language", "condition"),
    *("source", "licence", "orig_sample_rate", "orig_codec", "duration_s"),
)
BONAFIDE, SPOOF, DROP = "bonafide", "spoof", "drop"
CAPS: Mapping[str, int] = {SPOOF: 120, BONAFIDE: 60}  # clips of one page and label
HUMANS_ALONE = 400  # bona fide clips of a page without fakes
PER_GENERATOR = 25  # on a page that shows several
SECONDS = (1.0, 30.0)  # other clips are left out; only a rule with `pieces` has them cut
PIECE = 12.0
"""Seconds of a piece that is cut out of a long recording."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """What files are whose whole path fits; texts may name {groups}; DROP leaves a file out."""

    pattern: re.Pattern[str]
    label: str
    texts: Mapping[str, str]
    pieces: int = 0
    """How many pieces to take of a recording that is too long for a clip."""


@dataclass(frozen=True, slots=True)
class Page:
    """One repository at one commit; `names` translates the values of pattern groups."""

    source: str
    commit: str
    licence: str
    rules: Sequence[Rule]
    names: Mapping[str, str]
    times: int = 1
    """How many times the usual numbers of clips are taken."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that a rule claims, not opened yet."""

    path: str
    blob: str
    label: str
    texts: Mapping[str, str]
    pieces: int = 0


def load_pages(path: Path = PAGES_FILE) -> list[Page]:
    """Read the rules; ValueError names the page that has a bad one."""
    pages = []
    for it in tomllib.loads(path.read_text(encoding="utf-8"))["page"]:
        rules = [_rule(it["source"], clips, it["language"]) for clips in it["clips"]]
        names, times = it.get("names", {}), it.get("times", 1)
        pages.append(Page(it["source"], it["commit"], it["licence"], rules, names, times))
    return pages


def _rule(source: str, clips: Mapping[str, Any], language: str) -> Rule:
    texts = {"language": language, "condition": "", "speaker": f"{source}_spk?", **clips}
    match, label, pieces = texts.pop("match"), texts.pop("label"), texts.pop("pieces", 0)
    if not isinstance(pieces, int) or pieces < 0:
        raise ValueError(f"{source}: {match!r} has pieces = {pieces!r}, no whole number")
    if label != SPOOF:
        texts = {"generator": "human", "family": "human", **texts}
    if label not in (BONAFIDE, SPOOF, DROP) or not texts.keys() >= {"generator", "family"}:
        raise ValueError(f"{source}: {match!r} lacks its label, generator or family")
    texts["generator_family"] = texts.pop("family")
    try:
        return Rule(re.compile(match), label, texts, pieces)
    except re.error as error:
        raise ValueError(f"{source}: bad pattern {match!r}: {error}") from error


def candidates(page: Page, blobs: Mapping[str, str]) -> list[Candidate]:
    """The page's clips among its files (path: blob): identical ones once, contested ones never."""
    found: dict[str, Candidate] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    for path, blob in sorted(blobs.items()):
        fits = ((rule, match) for rule in page.rules if (match := rule.pattern.fullmatch(path)))
        rule, match = next(fits, (None, None))
        if rule is None or match is None or rule.label == DROP:
            continue
        groups = {key: page.names.get(it or "", it or "") for key, it in match.groupdict().items()}
        texts = {column: text.format(**groups) for column, text in rule.texts.items()}
        found.setdefault(blob, Candidate(path, blob, rule.label, texts, rule.pieces))
        labels[blob].add(rule.label)
    return [candidate for blob, candidate in found.items() if len(labels[blob]) == 1]


def in_turn(clips: Sequence[Candidate]) -> list[Candidate]:
    """Generators take turns, and within a generator its speakers; chance is a hash of the path."""
    shuffled = sorted(clips, key=lambda clip: hashlib.sha256(clip.path.encode()).digest())
    fair = _turns(shuffled, lambda clip: (clip.texts["generator"], clip.texts["speaker"]))
    return _turns(fair, lambda clip: clip.texts["generator"])


def _turns(clips: Sequence[Candidate], key: Callable[[Candidate], Hashable]) -> list[Candidate]:
    turn: Counter[Hashable] = Counter()
    ranked = []
    for clip in clips:
        turn[key(clip)] += 1
        ranked.append((turn[key(clip)], clip))
    return [clip for _, clip in sorted(ranked, key=lambda pair: pair[0])]


def extract(page: Page, clone: Path, out: Path) -> list[dict[str, Any]]:
    """Write the page's clips below `out`, as they are or cut out; their lines, within the caps."""
    taken, rows = Counter[str](), list[dict[str, Any]]()
    clips = in_turn(candidates(page, _blobs(clone, page.commit)))
    fakes = {clip.texts["generator"] for clip in clips if clip.label == SPOOF}
    caps = CAPS if fakes else {BONAFIDE: HUMANS_ALONE}
    for clip in clips:
        generator = clip.texts["generator"]
        one_of_many = clip.label == SPOOF and len(fakes) > 1
        full = one_of_many and taken[generator] >= page.times * PER_GENERATOR
        if full or taken[clip.label] >= page.times * caps[clip.label]:
            continue
        data = _git(clone, "cat-file", "blob", clip.blob, check=False)
        for name, sound, piece in _sounds(clip, data):
            taken.update([clip.label, generator])
            path = Path(page.source.replace("/", "+"), name)
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(piece)
            origin = {"source": page.source, "licence": page.licence}
            rows.append({"path": str(path), "label": clip.label, **clip.texts, **origin, **sound})
    return sorted(rows, key=lambda row: row["path"])


def _sounds(clip: Candidate, data: bytes) -> list[tuple[str, dict[str, Any], bytes]]:
    """Path, columns and bytes of what is taken of a file: itself, pieces of it or nothing."""
    sound = measure(data)
    seconds = sound.get("duration_s", 0)
    if SECONDS[0] <= seconds <= SECONDS[1]:
        return [(clip.path, sound, data)]
    if seconds < SECONDS[0] or not clip.pieces:
        return []
    about = {**sound, "duration_s": PIECE}
    pieces = enumerate(cut(data, clip.pieces))
    return [(f"{clip.path}.{number}.wav", about, piece) for number, piece in pieces]


def cut(data: bytes, pieces: int) -> list[bytes]:
    """At most `pieces` mono WAV files of PIECE seconds at equal distances, none overlapping."""
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler("s16", "mono")
        frames = [*container.decode(container.streams.audio[0]), None]
        samples = b"".join(
            bytes(part.planes[0])[: 2 * part.samples]
            for frame in frames
            for part in resampler.resample(frame)
        )
        rate = container.streams.audio[0].rate
    length, total = int(PIECE * rate), len(samples) // 2
    count = min(pieces, total // length)
    gap = (total - length) // max(count - 1, 1)
    starts = [number * gap for number in range(count)]
    return [_wav(samples[2 * start : 2 * (start + length)], rate) for start in starts]


def _wav(samples: bytes, rate: int) -> bytes:
    with io.BytesIO() as file:
        with wave.open(file, "wb") as writer:
            writer.setparams((1, 2, rate, 0, "NONE", ""))
            writer.writeframes(samples)
        return file.getvalue()


def measure(data: bytes) -> dict[str, Any]:
    """Decode a file whole: the columns that describe it; none if it holds no sound."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            codec = f"{container.format.name.split(',')[0]}/{stream.codec_context.name}"
            seconds = round(samples / stream.rate, 2)
        return {"orig_sample_rate": stream.rate, "orig_codec": codec, "duration_s": seconds}
    except (av.FFmpegError, IndexError, ZeroDivisionError):
        return {}


def _blobs(clone: Path, commit: str) -> dict[str, str]:
    listing = _git(clone, "ls-tree", "-r", "-z", "--full-tree", commit).decode(errors="replace")
    lines = (line.partition("\t") for line in listing.split("\0"))
    return {path: entry.split()[2] for entry, _, path in lines if " blob " in entry}


def _git(clone: Path, *arguments: str, check: bool = True) -> bytes:
    alone = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    command = ("git", "-C", str(clone), *arguments)
    return subprocess.run(command, check=check, capture_output=True, env=alone).stdout


def build(pages: Sequence[Page], clones: Path, out: Path) -> None:
    """Extract pages one by one; other pages keep their lines, and no reader sees half a page."""
    manifest = out / MANIFEST
    for page in pages:
        if not (clone := clones / page.source.replace("/", "+")).is_dir():
            _log.warning("%s: no clone", page.source)
            continue
        rows = extract(page, clone, out)
        _log.info("%s: %s", page.source, dict(Counter(row["label"] for row in rows)))
        if manifest.exists():
            with manifest.open(newline="", encoding="utf-8") as file:
                rows[:0] = [line for line in csv.DictReader(file) if line["source"] != page.source]
        out.mkdir(parents=True, exist_ok=True)
        part = manifest.with_suffix(".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        part.replace(manifest)
