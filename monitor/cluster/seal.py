"""What is to be pulled, as it lies in the database: encrypted, for it may hold credentials."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def key(secret: str, purpose: str) -> bytes:
    """A Fernet key made of the cluster's secret (HKDF, RFC 5869), another for each purpose."""
    made = HKDF(hashes.SHA256(), 32, None, f"deepfake-monitor {purpose}".encode())
    return base64.urlsafe_b64encode(made.derive(secret.encode()))


CONFIGURED = "c"
"""How ids of sources begin that stand in the settings."""


class Seal:
    """Encrypts descriptions of sources."""

    def __init__(self, secret: str) -> None:
        self._fernet = Fernet(key(secret, "sources"))

    def close(self, wanted: Mapping[str, Any]) -> str:
        """Encrypt what is JSON-ready."""
        return self._fernet.encrypt(json.dumps(wanted).encode()).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        """Decrypt; raises ValueError for what another secret has sealed, or another release."""
        try:
            found = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise ValueError(
                "cluster.secret: not the one that this source was kept with"
            ) from error
        if not isinstance(found, dict):
            raise ValueError("a source was kept that is no table of fields")
        return found


def name_of(wanted: Mapping[str, Any]) -> str:
    """An id of a source that is the same at every start; tells nothing of what is in it."""
    text = json.dumps(wanted, sort_keys=True)
    return CONFIGURED + hashlib.sha256(text.encode()).hexdigest()[:15]
