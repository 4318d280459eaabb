"""What happened to bundles, line by line, each line signed and chained to the one before.

It stays when retention deletes a bundle, and it is how an encrypted bundle's place in the chain is
known to a server that cannot read the bundle.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.evidence.container import sha256
from monitor.evidence.signing import PublicKey, Signer

NAME = "journal.jsonl"
_SIGNATURE = "signature"


class JournalError(Exception):
    """The journal is damaged; the message names the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it stands in the file."""

    number: int
    raw: bytes
    record: Mapping[str, Any]
    """Without the signature."""
    signature: bytes

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return _canonical(self.record)


def read(data: bytes) -> Iterator[Line]:
    """Read lines and check that each names the one before; raises JournalError.

    The key is not checked: `PublicKey.signed` of each line says that. What follows the last
    newline is half a line of a service that was killed, and is left out.
    """
    previous: str | None = None
    for number, raw in enumerate(data.split(b"\n")[:-1], 1):
        try:
            record = json.loads(raw)
            signature = base64.b64decode(record.pop(_SIGNATURE), validate=True)
            written = _text(record, signature)
            # What is signed can be written down: this program writes no NaN.
            _canonical(record)
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
            raise JournalError(f"line {number}: not a signed record") from error
        if raw != written or not all(isinstance(record.get(k), str) for k in ("event", "id")):
            raise JournalError(f"line {number}: not written by this program")
        if record.get("previous") != previous:
            raise JournalError(f"line {number}: does not follow the line before it")
        previous = sha256(raw)
        yield Line(number, raw, record, signature)


class Journal:
    """The file, open for more lines; for one thread at a time."""

    def __init__(self, path: Path, signer: Signer) -> None:
        """Raise JournalError for a damaged file, OSError for one that cannot be used."""
        self._path = path
        self._signer = signer
        data = path.read_bytes() if path.exists() else b""
        self.lines = list(read(data))
        for line in self.lines:
            if not signer.public.signed(line.signature, line.signed):
                raise JournalError(f"line {line.number}: not signed by this service's key")
        self._size = data.rfind(b"\n") + 1

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line and wait until the disk has it; raises OSError and then has written none."""
        previous = sha256(self.lines[-1].raw) if self.lines else None
        signed = {**record, "previous": previous}
        signature = self._signer.sign(_canonical(signed))
        raw = _text(signed, signature)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Also cuts off the half line that a killed service left.
            os.ftruncate(handle, self._size)
            _write(handle, raw + b"\n", self._size)
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, self._size)
            raise
        finally:
            os.close(handle)
        self._size += len(raw) + 1
        self.lines.append(Line(len(self.lines) + 1, raw, signed, signature))


def strangers(lines: list[Line], key: PublicKey) -> list[int]:
    """Numbers of the lines that this key's owner did not sign."""
    return [line.number for line in lines if not key.signed(line.signature, line.signed)]


def _text(record: Mapping[str, Any], signature: bytes) -> bytes:
    return json.dumps({**record, _SIGNATURE: base64.b64encode(signature).decode()}).encode()


def _write(handle: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(record), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
