"""Asterisk AudioSocket: one TCP connection a call, a byte of type, a length, a payload."""

import uuid
from collections.abc import Iterator

from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import REMOTE, Begin, Ended, Message
from monitor.ingest.telephony.interleave import Interleave

HEADER = 3
"""Bytes before a payload: type, then length in network order."""
_HANGUP, _UUID, _SILENCE, _DTMF = 0x00, 0x01, 0x02, 0x03
_AUDIO = {
    0x10: 8_000, 0x11: 12_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100,
    0x16: 48_000, 0x17: 96_000, 0x18: 192_000,
}  # fmt: skip


class AudioSocketParser:
    """Reads one connection; the caller hands over whole messages, header included."""

    def __init__(self) -> None:
        self._begun = False
        self._sounds: dict[int, Interleave] = {}
        """By kind."""

    def opening(self) -> Iterator[Message]:
        """Say nothing: the UUID comes first."""
        return iter(())

    def text(self, data: str) -> Iterator[Message]:
        """Pass over what this protocol does not have."""
        yield Anomaly(AnomalyKind.MESSAGE, "message", "text, but binary is due")

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read one message."""
        if len(data) < HEADER or len(data) - HEADER != length(data):
            yield Anomaly(AnomalyKind.MESSAGE, "length", "does not match the payload")
            return
        kind, payload = data[0], data[HEADER:]
        if kind == _UUID:
            yield from self._name(payload)
        elif kind in _AUDIO:
            if not self._begun:
                yield Anomaly(AnomalyKind.ORDER, "uuid", "audio before it: a call without a name")
                yield self._begin("")
            sound = self._sounds.get(kind)
            if sound is None:
                sound = self._sounds[kind] = Interleave(Codec.L16, _AUDIO[kind], (REMOTE,))
            yield from sound.read(payload, None)
        elif kind == _HANGUP:
            yield Ended()
        elif kind not in (_SILENCE, _DTMF):
            # An error, too: what can go on goes on, and what cannot is hung up.
            yield Anomaly(AnomalyKind.EVENT, "type", f"0x{kind:02x}")

    def farewell(self, error: str | None) -> str | None:
        """Say nothing: closing is enough."""
        return None

    def _name(self, payload: bytes) -> Iterator[Message]:
        if self._begun:
            yield Anomaly(AnomalyKind.ORDER, "uuid", "a second one")
            return
        if len(payload) == 16:
            yield self._begin(str(uuid.UUID(bytes=payload)))
            return
        yield Anomaly(AnomalyKind.MESSAGE, "uuid", "not 16 bytes")
        yield self._begin(payload[:80].decode("ascii", "replace"))

    def _begin(self, call: str) -> Begin:
        self._begun = True
        return Begin(call, (REMOTE,))


def length(header: bytes) -> int:
    """Payload bytes that a header announces."""
    return int.from_bytes(header[1:HEADER], "big")
