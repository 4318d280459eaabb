"""The page that names every part of a bundle with its hash, and the bundle before. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.evidence.container import LONGEST_NAME

FORMAT = "deepfake-monitor.evidence"
VERSION = 1
NAME, SIGNATURE = "manifest.json", "manifest.sig"


class ManifestError(Exception):
    """A manifest that cannot be read; the message names the field."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part as the manifest lists it."""

    name: str
    sha256: str
    """Hexadecimal."""
    bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Link:
    """The bundle that was sealed before this one."""

    sequence: int
    manifest_sha256: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself."""

    id: str
    sequence: int
    """Counts the bundles of one journal from 1."""
    created_at: str
    """Wall-clock time, RFC 3339."""
    subject: Mapping[str, Any]
    """Call, participant, alert and clip."""
    parts: tuple[Part, ...]
    previous: Link | None
    """None for the first of a journal."""
    signed_by: str
    """The signer's public key, 32 bytes in base64."""

    def dumps(self) -> bytes:
        """Return the bytes that are hashed and signed."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "id": self.id,
            "sequence": self.sequence,
            "created_at": self.created_at,
            "subject": dict(self.subject),
            "parts": [
                {"name": p.name, "sha256": p.sha256, "bytes": p.bytes, "media_type": p.media_type}
                for p in self.parts
            ],
            "previous": self.previous
            and {
                "sequence": self.previous.sequence,
                "manifest_sha256": self.previous.manifest_sha256,
            },
            "signed_by": self.signed_by,
        }
        return json.dumps(document, indent=1, allow_nan=False).encode() + b"\n"


def loads(data: bytes) -> Manifest:
    """Read a manifest; raises ManifestError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError("not JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestError(f"format: not {FORMAT}")
    if document.get("version") != VERSION:
        raise ManifestError(f"version: this program reads version {VERSION}")
    at = "parts"
    try:
        parts = tuple(Part(**part) for part in document[at])
        if not all(_plausible(p) for p in parts):
            raise ValueError(at)
        at = "previous"
        previous = None if document[at] is None else Link(**document[at])
        fields: dict[str, Any] = {}
        for at, kind in (
            ("id", str), ("sequence", int), ("created_at", str), ("subject", dict),
            ("signed_by", str),
        ):  # fmt: skip
            fields[at] = document[at]
            if not isinstance(fields[at], kind):
                raise TypeError(at)
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{at}: missing or malformed") from error
    return Manifest(parts=parts, previous=previous, **fields)


def _plausible(part: Part) -> bool:
    return (
        isinstance(part.name, str)
        and 0 < len(part.name) <= LONGEST_NAME
        and part.name not in (NAME, SIGNATURE)
        and isinstance(part.sha256, str)
        and isinstance(part.bytes, int)
    )
