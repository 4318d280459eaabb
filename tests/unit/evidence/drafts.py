"""Small bundles made for tests."""

from pathlib import Path

from monitor.evidence.bundle import Draft, Recipients
from monitor.evidence.bundle_store import BundleStore, Kept
from monitor.evidence.signing import Signer

PARTS = {
    "alert.json": b'{"tier":"alert"}\n',
    "windows.jsonl": b"{}\n{}\n",
    "media.mka": b"sound" * 9,
}


def draft(name: str, created_at: str = "2026-01-01T00:00:00+00:00") -> Draft:
    subject = {"call": "call-1", "participant": "remote", "alert": f"call-1:{name}", "clip": None}
    return Draft(name, created_at, subject, PARTS)


def shelf(folder: Path, *recipients: str, key: str = "key.pem") -> BundleStore:
    return BundleStore(folder / "evidence", Signer.open(folder / key), Recipients(recipients))


def fill(folder: Path, *names: str) -> tuple[BundleStore, list[Path]]:
    """A shelf with a bundle for each name."""
    made = shelf(folder)
    kept: list[Kept] = [made.put(draft(name)) for name in names]
    return made, [made.path(k) for k in kept]
