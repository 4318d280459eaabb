"""What telephony streams say, whatever their dialect, and how their messages are read. Pure."""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from monitor.ingest.codecs.g711 import Codec, Samples
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.types import LostReason

REMOTE = "remote"
"""The party whose voice is in doubt: caller, external, inbound track."""
AGENT = "agent"
"""The party on our side: internal, outbound track."""
LARGEST = 1024 * 1024
"""Bytes of one message. A connection that stalled lets go of what has gathered in one piece:
mod_audio_fork of 5 s at most, which is 960,000 bytes in stereo at 48 kHz."""
_SLOWEST, _FASTEST = 4_000, 192_000
"""Hertz of sound."""


class TelephonyError(Exception):
    """Of this stream nothing can be used; `code` is the WebSocket close code that says so.

    A last resort: platforms do not connect again.
    """

    UNSUPPORTED = 1003
    VIOLATION = 1008
    TOO_LARGE = 1009

    def __init__(self, field: str, detail: str, code: int = UNSUPPORTED) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail
        self.code = code


class MessageError(Exception):
    """Of this message nothing can be used; the stream goes on."""

    def __init__(self, field: str, detail: str, kind: AnomalyKind = AnomalyKind.MESSAGE) -> None:
        super().__init__(f"{field}: {detail}")
        self.anomaly = Anomaly(kind, field, detail)


@dataclass(frozen=True, slots=True)
class Begin:
    """Media will follow."""

    call: str
    """The platform's own name of the call; may be empty."""
    participants: tuple[str, ...]
    """Who was announced; empty where the platform does not say, and whoever is heard counts."""
    meeting: bool = False
    """Whether participants have names of their own, and everybody who is heard or seen counts."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A chunk as it was sent: one channel of a message."""

    codec: Codec
    payload: bytes
    """The whole message; its channels are interleaved."""
    channel: int
    channels: int

    def own(self) -> bytes:
        """Return this channel's bytes."""
        if self.channels == 1:
            return self.payload
        samples = np.frombuffer(self.payload, dtype=f"V{self.codec.width}")
        return samples[self.channel :: self.channels].tobytes()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio of one participant."""

    participant: str
    samples: Samples
    rate: int
    time: float | None
    """Seconds of the stream's own clock; None where the dialect has none."""
    wire: Wire | None = None
    """What it was decoded from."""
    number: int | None = None
    """Its place among the chunks of its stream, where they may come out of order."""
    lost: float = 0.0
    """Seconds just before it that the sender says it threw away."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Packet:
    """Encoded sound of one participant, as it would come by RTP."""

    participant: str
    codec: str
    """Lower-case encoding name, as by RTP."""
    stream: int
    """What tells one numbering from the next; 32 bits."""
    number: int
    """Its place among the packets of its stream."""
    timestamp: int
    """In units of the codec's RTP clock."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture of one participant."""

    participant: str
    codec: str
    """FFmpeg's name: `mjpeg`, `png`, `h264` with start codes."""
    data: bytes
    time: float | None = None
    """Seconds of the stream's own clock; None where the dialect has none."""


@dataclass(frozen=True, slots=True)
class Left:
    """A participant has left; of them nothing is missing from here on."""

    participant: str


@dataclass(frozen=True, slots=True)
class Paused:
    """No media comes for a while, and why; on purpose, unless said otherwise."""

    reason: LostReason = LostReason.PAUSED


@dataclass(frozen=True, slots=True)
class Resumed:
    """Media flows again."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream is over as it should be."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Text the far end expects in answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Early:
    """This message holds sound that cannot be read yet; it is to be handed in again after Begin."""


Media = Chunk | Packet | Picture
Message = Begin | Media | Left | Paused | Resumed | Ended | Reply | Early | Anomaly


class Parser(Protocol):
    """Reads one stream; raises TelephonyError and nothing else."""

    def opening(self) -> Iterator[Message]:
        """Tell what is known before anything was said."""

    def text(self, data: str) -> Iterator[Message]:
        """Read a text message."""

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read a binary message."""

    def farewell(self, error: str | None) -> str | None:
        """Return what to say before this side closes: an error, or None when it just stops."""


def tolerant(read: Iterator[Message]) -> Iterator[Message]:
    """Read a message of which something may be unusable: the rest of it is passed over."""
    try:
        yield from read
    except MessageError as error:
        yield error.anomaly


class Events:
    """What parsers of JSON events share: whoever sends bytes means text, and closing is enough."""

    def text(self, data: str) -> Iterator[Message]:
        """Read an event."""
        if data.strip():
            yield from tolerant(self._event(data))

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read an event that came as bytes: a proxy may not know the difference."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            yield Anomaly(AnomalyKind.MESSAGE, "message", "binary, but text is due")
            return
        yield from self.text(text)

    def farewell(self, error: str | None) -> str | None:
        """Say nothing."""
        return None

    def _event(self, data: str) -> Iterator[Message]:
        raise NotImplementedError


def read_object(text: str, field: str = "message") -> dict[str, Any]:
    """Read a JSON object; raises MessageError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(field, "not JSON") from error
    if not isinstance(found, dict):
        raise MessageError(field, "not a JSON object")
    return found


def child(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object inside an object; raises MessageError."""
    found = parent.get(key)
    if not isinstance(found, dict):
        raise MessageError(key, "missing or not an object")
    return found


def word(parent: Mapping[str, Any], key: str, where: str = "") -> str:
    """Return a short text, or nothing if there is none; raises MessageError."""
    found = parent.get(key)
    if found is None:
        return ""
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)[:41]
    if not isinstance(found, str) or len(found) > 1000:
        raise MessageError(where + key, "not a short text")
    return found


def number(parent: Mapping[str, Any], key: str, where: str = "") -> float | None:
    """Return a number, written as one or as text; None if there is none; raises MessageError."""
    found = parent.get(key)
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise MessageError(where + key, "not a number")
    try:
        value = float(found) if len(str(found)) <= 40 else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value < 1e15:
        raise MessageError(where + key, "not a sensible number")
    return value


def rate_of(value: float | None, where: str, default: int = 8_000) -> int:
    """Return a sample rate; the default if the stream names none. Raises MessageError."""
    if value is None:
        return default
    if not _SLOWEST <= value <= _FASTEST or value != int(value):
        raise MessageError(where, f"not a rate from {_SLOWEST} to {_FASTEST} Hz")
    return int(value)


def unpack(payload: object, where: str) -> bytes:
    """Decode base64, with or without its padding, of either alphabet; raises MessageError."""
    if not isinstance(payload, str):
        raise MessageError(where, "missing or not text", AnomalyKind.MEDIA)
    try:
        return binascii.a2b_base64(payload, strict_mode=True)
    except ValueError:
        pass
    bare = "".join(payload.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError as error:
        raise MessageError(where, "not base64", AnomalyKind.MEDIA) from error
