"""The folder with the bundles and their journal: adding, finding, deleting.

A bundle is written beside its place, noted in the journal and then renamed: what stands under a
bundle's name is whole, and no sequence number is given twice, wherever the service is killed.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitor.evidence import journal
from monitor.evidence.bundle import Draft, Recipients, Sealed, seal
from monitor.evidence.container import sha256, unpack
from monitor.evidence.journal import Journal
from monitor.evidence.manifest import Link
from monitor.evidence.signing import Signer

PUBLIC_KEY = "signing.pub"
_UNFINISHED = ".part"


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle in the folder."""

    id: str
    sequence: int
    created_at: str
    """Wall-clock time, RFC 3339."""
    call: str
    participant: str
    alert: str
    """Id of the alert that it was made for."""
    file: str
    """Name in the folder."""
    bytes: int
    sha256: str
    """Of the file, hexadecimal."""
    manifest_sha256: str
    encrypted: bool


class BundleStore:
    """Bundles by id; every method may be called from any thread and may wait for the disk."""

    def __init__(self, folder: Path, signer: Signer, recipients: Recipients) -> None:
        """Raise JournalError for a damaged journal, OSError for a folder that cannot be used."""
        self.folder = folder
        self._signer = signer
        self._recipients = recipients
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._journal = Journal(folder / journal.NAME, signer)
        self._bundles: dict[str, Kept] = {}
        self._head: Link | None = None
        for line in self._journal.lines:
            self._take_in(line.record)
        self._recover()
        (folder / PUBLIC_KEY).write_text(signer.public.pem, encoding="ascii")

    def __iter__(self) -> Iterator[Kept]:
        """Bundles, newest first."""
        with self._lock:
            return iter(sorted(self._bundles.values(), key=lambda kept: -kept.sequence))

    @property
    def head(self) -> Link | None:
        """The latest bundle, present or not; write it down elsewhere to notice a cut-off end."""
        return self._head

    @property
    def public_key(self) -> str:
        """The key that verifies the bundles, in base64."""
        return self._signer.public.base64

    def find(self, bundle: str) -> Kept | None:
        """Return a bundle by its id."""
        return self._bundles.get(bundle)

    def path(self, kept: Kept) -> Path:
        """Where a bundle lies."""
        return self.folder / kept.file

    def alert(self, kept: Kept) -> dict[str, Any] | None:
        """The alert message inside a bundle; None if it cannot be read here."""
        if kept.encrypted:
            return None
        try:
            parts = unpack(self.path(kept).read_bytes()).parts
            found = json.loads(parts["alert.json"])
        except (OSError, KeyError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("id") == kept.alert else None

    def put(self, draft: Draft) -> Kept:
        """Seal a draft and keep it; raises OSError and then has kept nothing."""
        with self._lock:
            sequence = 1 if self._head is None else self._head.sequence + 1
            sealed = seal(draft, sequence, self._head, self._signer, self._recipients)
            place = self.folder / sealed.name
            unfinished = place.with_name(place.name + _UNFINISHED)
            try:
                _write(unfinished, sealed.data)
                self._note(_written(draft, sequence, sealed))
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            os.rename(unfinished, place)
            _settle(self.folder)
            return self._bundles[draft.id]

    def older(self, than: datetime) -> list[Kept]:
        """Return the bundles made before a moment."""
        return [kept for kept in self if datetime.fromisoformat(kept.created_at) < than]

    def delete(self, bundles: Sequence[Kept], reason: str) -> None:
        """Delete bundles and note why in the journal; raises OSError."""
        for kept in bundles:
            record = {"event": "deleted", "id": kept.id, "reason": reason}
            with self._lock:
                if kept.id not in self._bundles:
                    continue
                try:
                    self._note(record)
                    self.path(kept).unlink(missing_ok=True)
                except OSError:
                    # A full disk: room for the line comes from the bundle itself.
                    self.path(kept).unlink(missing_ok=True)
                    self._note(record)

    def _note(self, record: Mapping[str, Any]) -> None:
        self._journal.append(record)
        self._take_in(record)

    def _take_in(self, record: Mapping[str, Any]) -> None:
        event, bundle = record["event"], record["id"]
        if event == "written":
            fields = {k: v for k, v in record.items() if k not in ("event", "previous")}
            self._bundles[bundle] = Kept(**fields)
            self._head = Link(record["sequence"], record["manifest_sha256"])
        elif event == "deleted":
            self._bundles.pop(bundle, None)

    def _recover(self) -> None:
        """Finish what a killed service began: a rename, or nothing."""
        expected = {kept.file: kept for kept in self._bundles.values()}
        for unfinished in self.folder.glob(f"*{_UNFINISHED}"):
            kept = expected.get(unfinished.name.removesuffix(_UNFINISHED))
            whole = kept is not None and sha256(unfinished.read_bytes()) == kept.sha256
            if kept is not None and whole and not self.path(kept).exists():
                os.rename(unfinished, self.path(kept))
            else:
                unfinished.unlink()


def _written(draft: Draft, sequence: int, sealed: Sealed) -> dict[str, Any]:
    return {
        "event": "written",
        "id": draft.id,
        "sequence": sequence,
        "created_at": draft.created_at,
        "call": draft.subject["call"],
        "participant": draft.subject["participant"],
        "alert": draft.subject["alert"],
        "file": sealed.name,
        "bytes": len(sealed.data),
        "sha256": sealed.sha256,
        "manifest_sha256": sealed.manifest_sha256,
        "encrypted": sealed.encrypted,
    }


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Wait until the disk has the folder's names."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
