"""Forged faces beside the genuine ones on public pages: the rules of pages.toml."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PAGES_FILE = Path(__file__).with_name("pages.toml")
REAL = "real"
TRAIN, DEVELOPMENT, TEST = "train", "dev", "test"
ALWAYS_TRAINED = "iperov/DeepFaceLive"
"""Its other films are kept by others to measure what is made of these."""
_SHARES = ((0.5, TRAIN), (0.65, DEVELOPMENT), (1.0, TEST))
"""Upper ends on a scale from 0 to 1 that a page's hash falls on."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, pixels."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a picture that shows one face."""

    area: Box | None = None
    """None for all of it."""
    columns: int | tuple[int, ...] = 1
    """How many equal ones the area has, or their edges in the picture."""
    rows: int | tuple[int, ...] = 1
    column: int = 0
    row: int = 0

    def box(self, width: int, height: int) -> Box:
        """In a picture of this size; raises ValueError for nothing or something outside it."""
        left, top, right, bottom = self.area or (0, 0, width, height)
        x0, x1 = _edges(self.columns, left, right)[self.column :][:2]
        y0, y1 = _edges(self.rows, top, bottom)[self.row :][:2]
        box = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            raise ValueError(f"box {x0, y0, x1, y1} lies outside {width}x{height}")
        return box


def _edges(parts: int | tuple[int, ...], start: int, end: int) -> Sequence[int]:
    if isinstance(parts, int):
        return [start + round(i * (end - start) / parts) for i in range(parts + 1)]
    return parts


@dataclass(frozen=True, slots=True)
class Member:
    """One face of a page."""

    file: str
    cut: Cut
    method: str
    """REAL, or what forged it."""
    pair: str
    """Members of one pair show one picture, genuine and forged; empty without a partner."""


@dataclass(frozen=True, slots=True)
class Page:
    """One repository at one commit."""

    source: str
    commit: str
    licence: str
    family: str
    members: Sequence[Member]

    @property
    def methods(self) -> set[str]:
        """What forged its faces."""
        return {member.method for member in self.members} - {REAL}


def load_pages(path: Path = PAGES_FILE) -> list[Page]:
    """Read the rules; ValueError names the page that has a bad one."""
    pages = []
    for it in tomllib.loads(path.read_text(encoding="utf-8"))["page"]:
        try:
            members = [*_gridded(it), *_paired(it), *_alone(it)]
        except KeyError as error:
            raise ValueError(f"{it['source']}: a rule lacks {error}") from error
        except ValueError as error:
            raise ValueError(f"{it['source']}: {error}") from error
        pages.append(Page(it["source"], it["commit"], it["licence"], it["family"], members))
    return pages


def splits(pages: Sequence[Page]) -> dict[str, str]:
    """TRAIN, DEVELOPMENT or TEST for every source: a hash decides, before anything is scored.

    Pages that share a method stay together, so that what a test page shows was never trained on;
    the first of them by name is hashed.
    """
    found = {}
    for page in pages:
        together = _relatives(page, pages)
        name = min(together)
        share = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
        drawn = next(split for end, split in _SHARES if share < end)
        found[page.source] = TRAIN if ALWAYS_TRAINED in together else drawn
    return found


def _relatives(page: Page, pages: Sequence[Page]) -> set[str]:
    known, methods = {page.source}, page.methods
    while more := [p for p in pages if p.source not in known and p.methods & methods]:
        known |= {p.source for p in more}
        methods = methods.union(*(p.methods for p in more))
    return known


def _gridded(page: Mapping[str, Any]) -> Iterator[Member]:
    for rule in page.get("grid", ()):
        across = "across" in rule
        roles = rule["across"] if across else rule["down"]
        whole = Cut(_area(rule, "area"), _parts(rule, "columns"), _parts(rule, "rows"))
        columns, rows = (
            n if isinstance(n, int) else len(n) - 1 for n in (whole.columns, whole.rows)
        )
        if len(roles) != (columns if across else rows):
            raise ValueError(f"{rule['files'][0]}: as many roles as columns or rows are needed")
        skipped = rule.get("skip", ())
        for file in rule["files"]:
            for i in range(rows if across else columns):
                pair = f"{file} {rule.get('area', '')} {i}"
                for j, role in enumerate(roles):
                    column, row = (j, i) if across else (i, j)
                    if role and i not in skipped:
                        yield Member(file, replace(whole, column=column, row=row), role, pair)


def _paired(page: Mapping[str, Any]) -> Iterator[Member]:
    for rule in page.get("pair", ()):
        pair = f"{rule['real']} {rule.get('box', '')}"
        yield Member(rule["real"], Cut(_area(rule, "box")), REAL, pair)
        for fake in rule["fakes"]:
            yield Member(fake["file"], Cut(_area(fake, "box")), fake["method"], pair)


def _alone(page: Mapping[str, Any]) -> Iterator[Member]:
    for rule in page.get("alone", ()):
        method = REAL if rule["label"] == REAL else rule["method"]
        yield from (Member(file, Cut(), method, "") for file in rule["files"])


def _area(rule: Mapping[str, Any], key: str) -> Box | None:
    if key not in rule:
        return None
    left, top, right, bottom = rule[key]
    return left, top, right, bottom


def _parts(rule: Mapping[str, Any], key: str) -> int | tuple[int, ...]:
    parts = rule.get(key, 1)
    return parts if isinstance(parts, int) else tuple(parts)
