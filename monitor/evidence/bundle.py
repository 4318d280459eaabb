"""One alert's evidence: parts → hashes → signed manifest → one file, encrypted if so configured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyrage

from monitor.evidence import manifest
from monitor.evidence.container import pack, sha256
from monitor.evidence.manifest import Link, Manifest, Part
from monitor.evidence.signing import Signer

SUFFIX = ".evidence.tar"
ENCRYPTED_SUFFIX = SUFFIX + ".age"
MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".mkv": "video/x-matroska",
    ".mka": "audio/x-matroska",
    ".txt": "text/plain",
}


class RecipientError(Exception):
    """A recipient for whom nothing can be encrypted here; the message never holds a private key."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sealed."""

    id: str
    created_at: str
    """Wall-clock time, RFC 3339."""
    subject: Mapping[str, Any]
    """Call, participant, alert and clip, ready for JSON."""
    parts: Mapping[str, bytes]
    """By name; the name's ending says what it is."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A bundle ready to be kept."""

    name: str
    data: bytes
    manifest_sha256: str
    sha256: str
    """Of `data`, hexadecimal."""
    encrypted: bool


class Recipients:
    """Who can read bundles: age public keys. Their private keys never come here."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raise RecipientError for a key that is none."""
        self._recipients = []
        for number, given in enumerate(keys, 1):
            key = given.strip()
            try:
                self._recipients.append(pyrage.x25519.Recipient.from_str(key))
            except pyrage.RecipientError as error:
                raise RecipientError(f"recipient {number}: {_unfit(key)}") from error

    def __bool__(self) -> bool:
        return bool(self._recipients)

    def encrypt(self, data: bytes) -> bytes:
        """Return an age file that every recipient can open."""
        return bytes(pyrage.encrypt(data, self._recipients))


def _unfit(key: str) -> str:
    """Why a recipient is none of those that are supported."""
    wanted = "give the age1... key that age-keygen prints as the public key"
    # In Bech32 a key's kind stands before the last 1.
    kind = key.lower().rpartition("1")[0]
    if "secret" in kind or "private key" in key.lower():
        return f"a private key, which this service must not have; {wanted}"
    shown = repr(key[:80])
    if kind == "age1pq":
        return f"{shown} is a post-quantum recipient, which is not supported yet; {wanted}"
    if kind.startswith("age1"):
        name = kind.removeprefix("age1")
        return f"{shown} is a recipient of age's plugin {name!r}, which is not supported; {wanted}"
    if key.startswith(("ssh-", "ecdsa-", "sk-")):
        return f"{shown} is an SSH key, which is not supported; {wanted}"
    return f"{shown} is not an age public key (age1...)"


def seal(
    draft: Draft, sequence: int, previous: Link | None, signer: Signer, recipients: Recipients
) -> Sealed:
    """Hash, sign, pack and, with recipients, encrypt a draft."""
    page = Manifest(
        id=draft.id,
        sequence=sequence,
        created_at=draft.created_at,
        subject=draft.subject,
        parts=tuple(
            Part(name, sha256(data), len(data), _media_type(name))
            for name, data in draft.parts.items()
        ),
        previous=previous,
        signed_by=signer.public.base64,
    ).dumps()
    outside = {manifest.NAME: page, manifest.SIGNATURE: signer.sign(page)}
    data = pack({**outside, **draft.parts})
    encrypted = bool(recipients)
    if encrypted:
        # Signed first: what a recipient opens proves itself to whoever it is handed on to.
        data = recipients.encrypt(data)
    suffix = ENCRYPTED_SUFFIX if encrypted else SUFFIX
    name = f"{sequence:06d}-{draft.id}{suffix}"
    return Sealed(name, data, sha256(page), sha256(data), encrypted)


def _media_type(name: str) -> str:
    return MEDIA_TYPES.get("." + name.rpartition(".")[2], "application/octet-stream")
