"""The key that signs bundles: Ed25519 (RFC 8032), in a file that only the service can read."""

import base64
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

KEY_FILE = "evidence-signing-key.pem"
"""Where it lies in state_dir, unless the settings name another."""


class SigningKeyError(Exception):
    """A key cannot be used; the message names the file and never its content."""


class PublicKey:
    """What verifying takes."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def of(cls, raw: bytes) -> "PublicKey":
        """Take the 32 bytes of RFC 8032; raises SigningKeyError."""
        try:
            return cls(Ed25519PublicKey.from_public_bytes(raw))
        except ValueError as error:
            raise SigningKeyError("not an Ed25519 public key of 32 bytes") from error

    @classmethod
    def read(cls, text: str) -> "PublicKey":
        """Take PEM or base64; raises SigningKeyError."""
        if "-----BEGIN" in text:
            try:
                key = load_pem_public_key(text.encode())
            except (ValueError, UnsupportedAlgorithm) as error:
                raise SigningKeyError("not a public key in PEM") from error
            if not isinstance(key, Ed25519PublicKey):
                raise SigningKeyError("not an Ed25519 key")
            return cls(key)
        try:
            return cls.of(base64.b64decode(text.strip(), validate=True))
        except ValueError as error:
            raise SigningKeyError("neither PEM nor base64") from error

    @property
    def base64(self) -> str:
        """The key on one line."""
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        """The key as OpenSSL reads it."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def fingerprint(self) -> str:
        """First digits of the SHA-256 of the raw key, for people to compare."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether this key's owner signed the message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer:
    """Holds the private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def open(cls, path: Path) -> "Signer":
        """Read the key file, or make one on first use; raises SigningKeyError or OSError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(_read(path))
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # An empty file would pass for a broken key at the next start.
            path.unlink(missing_ok=True)
            raise
        return cls(key)

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message)


def _read(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise SigningKeyError(f"{path}: others may read it; chmod 600 and consider a new key")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path}: not an unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path}: not an Ed25519 key")
    return key
