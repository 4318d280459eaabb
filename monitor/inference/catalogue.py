"""models/manifest.toml → models whose files are what the manifest says they are."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.toml"
VERSION_DIGITS = 12
"""Hexadecimal digits of the SHA-256 that name a model's version in scores and metrics."""


class CatalogueError(Exception):
    """A model or its manifest entry is wrong; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the manifest."""

    name: str
    path: Path
    sha256: str
    license: str
    card: Path
    decision: Path | None
    """Calibration, scan model and reference maxima that belong to this model, if any."""
    decision_sha256: str | None
    second: Path | None = None
    """The network of a second look at what `path` is least sure of, if there is one."""
    second_sha256: str | None = None

    @property
    def version(self) -> str:
        """What scores call this model: of the file, or of both where there are two."""
        digest = self.sha256
        if self.second_sha256 is not None:
            digest = hashlib.sha256(f"{digest}{self.second_sha256}".encode()).hexdigest()
        return digest[:VERSION_DIGITS]

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that belongs to it."""
        found = (self.path, self.card, self.decision, self.second)
        return tuple(path for path in found if path is not None)


def default_folder() -> Path:
    """Where models lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "models"
    return inside if (inside / MANIFEST).exists() else package.parent / "models"


class Catalogue:
    """The models of one folder."""

    def __init__(self, folder: Path) -> None:
        """Raise CatalogueError if the manifest is missing or malformed."""
        self.folder = folder
        path = folder / MANIFEST
        try:
            manifest = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CatalogueError(f"{path}: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"{path}: {error}") from error
        self.models = {m.name: m for m in (self._model(e) for e in manifest.get("model", []))}

    def verified(self, name: str) -> Model:
        """Return a model after checking its files' hashes; raise CatalogueError otherwise."""
        if name not in self.models:
            raise CatalogueError(f"{self.folder / MANIFEST}: no model named {name!r}")
        model = self.models[name]
        _check(model.path, model.sha256)
        if model.decision is not None:
            if model.decision_sha256 is None:
                raise CatalogueError(f"{self.folder / MANIFEST}: {name}: decision has no sha256")
            _check(model.decision, model.decision_sha256)
        if model.second is not None:
            if model.second_sha256 is None:
                raise CatalogueError(f"{self.folder / MANIFEST}: {name}: second has no sha256")
            _check(model.second, model.second_sha256)
        if not model.card.exists():
            raise CatalogueError(f"{model.card}: no such file, named by {name}.card")
        return model

    def _model(self, entry: dict[str, Any]) -> Model:
        try:
            decision, second = entry.get("decision"), entry.get("second")
            return Model(
                name=entry["name"],
                path=self.folder / entry["file"],
                sha256=entry["sha256"],
                license=entry["license"],
                card=self.folder / entry["card"],
                decision=self.folder / decision["file"] if decision else None,
                decision_sha256=decision.get("sha256") if decision else None,
                second=self.folder / second["file"] if second else None,
                second_sha256=second.get("sha256") if second else None,
            )
        except (KeyError, TypeError) as error:
            name = entry.get("name", "?") if isinstance(entry, dict) else "?"
            raise CatalogueError(
                f"{self.folder / MANIFEST}: model {name!r} lacks field {error}"
            ) from error


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, expected: str) -> None:
    try:
        actual = sha256(path)
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error
    if actual != expected:
        raise CatalogueError(
            f"{path}: SHA-256 is {actual[:16]}…, the manifest says {expected[:16]}…"
        )
