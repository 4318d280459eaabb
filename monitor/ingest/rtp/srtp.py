"""How a session description says that a stream is encrypted (RFC 4568). Pure."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""SRTP suites that are taken (RFC 4568, RFC 7714), and the bytes of key and salt of each."""
_CRYPTO = re.compile(
    r"(\d{1,9}) (\w{1,40}) inline:([A-Za-z0-9+/]{1,100}={0,2})(?:\|.{0,40})?", re.A
)


@dataclass(frozen=True, slots=True)
class Crypto:
    """How a stream is encrypted (RFC 4568)."""

    tag: str
    suite: str
    key: bytes
    """Key and salt."""


def read_crypto(lines: Iterable[str]) -> Crypto | None:
    """Return the first of these values of a=crypto whose suite is known, or None."""
    for text in lines:
        found = _CRYPTO.fullmatch(text.strip())
        if found is None or found[2] not in SUITES:
            continue
        try:
            key = base64.b64decode(found[3] + "=" * (-len(found[3]) % 4), validate=True)
        except ValueError:
            continue
        if len(key) == SUITES[found[2]]:
            return Crypto(found[1], found[2], key)
    return None
