"""Asterisk AudioSocket: one TCP connection a call, a byte of type, a length, a payload."""

import uuid
from collections.abc import Iterator

from monitor.ingest.dialect import REMOTE, Begin, Ended, Message, TelephonyError, Unknown, chunks
from monitor.ingest.g711 import Codec

HEADER = 3
"""Bytes before a payload: type, then length in network order."""
_HANGUP, _UUID, _DTMF, _ERROR = 0x00, 0x01, 0x03, 0xFF
# The 44.1 kHz of 0x15 is left out; nobody calls with it.
_AUDIO = {0x10: 8_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x16: 48_000}


class AudioSocketParser:
    """Reads one connection; the caller hands over whole messages, header included."""

    def __init__(self) -> None:
        self._begun = False

    def text(self, data: str) -> Iterator[Message]:
        """Refuse: there is no text in this protocol."""
        raise TelephonyError("message", "text, but binary is due", TelephonyError.UNSUPPORTED)

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read one message."""
        if len(data) < HEADER or len(data) - HEADER != length(data):
            raise TelephonyError("length", "does not match the payload")
        kind, payload = data[0], data[HEADER:]
        if kind == _UUID:
            if self._begun or len(payload) != 16:
                raise TelephonyError("uuid", "not one UUID of 16 bytes", TelephonyError.VIOLATION)
            self._begun = True
            yield Begin(str(uuid.UUID(bytes=payload)), (REMOTE,))
        elif kind in _AUDIO:
            if not self._begun:
                raise TelephonyError("type", "audio before the UUID", TelephonyError.VIOLATION)
            yield from chunks(payload, Codec.L16, _AUDIO[kind], (REMOTE,), None)
        elif kind in (_HANGUP, _ERROR):
            yield Ended()
        elif kind != _DTMF:
            yield Unknown(f"0x{kind:02x}")

    def farewell(self, error: str | None) -> str | None:
        """Say nothing: closing is enough."""
        return None


def length(header: bytes) -> int:
    """Payload bytes that a header announces."""
    return int.from_bytes(header[1:HEADER], "big")
