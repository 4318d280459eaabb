"""What telephony streams say, whatever their dialect, and how their messages are read. Pure."""

import base64
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from monitor.ingest.g711 import Codec, Samples, decode

REMOTE = "remote"
"""The party whose voice is in doubt: caller, external, inbound track."""
AGENT = "agent"
"""The party on our side: internal, outbound track."""
RATES = (8_000, 16_000, 24_000, 32_000, 48_000)
"""Hertz."""
LARGEST = 64 * 1024
"""Bytes of one message; the largest that a platform sends has about 20 KiB."""


class TelephonyError(Exception):
    """A stream said something it must not; `code` is the WebSocket close code that says so."""

    MALFORMED = 1007
    UNSUPPORTED = 1003
    VIOLATION = 1008
    TOO_LARGE = 1009

    def __init__(self, field: str, detail: str, code: int = MALFORMED) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail
        self.code = code


@dataclass(frozen=True, slots=True)
class Begin:
    """Media will follow."""

    call: str
    """The platform's own name of the call; may be empty."""
    participants: tuple[str, ...]


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

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Paused:
    """The far end withholds media on purpose."""


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
class Unknown:
    """A message of a kind this service does not know; platforms add kinds over time."""

    kind: str


Message = Begin | Chunk | Paused | Resumed | Ended | Reply | Unknown


class Parser(Protocol):
    """Reads one stream; raises TelephonyError and nothing else."""

    def text(self, data: str) -> Iterator[Message]:
        """Read a text message."""

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read a binary message."""

    def farewell(self, error: str | None) -> str | None:
        """Return what to say before this side closes: an error, or None when it just stops."""


def read_object(text: str, field: str = "message") -> dict[str, Any]:
    """Read a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TelephonyError(field, "not JSON") from error
    if not isinstance(found, dict):
        raise TelephonyError(field, "not a JSON object")
    return found


def child(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object inside an object."""
    found = parent.get(key)
    if not isinstance(found, dict):
        raise TelephonyError(key, "missing or not an object")
    return found


def word(parent: Mapping[str, Any], key: str, where: str = "") -> str:
    """Return a short text, or nothing if there is none."""
    found = parent.get(key, "")
    if not isinstance(found, str) or len(found) > 1000:
        raise TelephonyError(where + key, "not a short text")
    return found


def number(parent: Mapping[str, Any], key: str, where: str = "") -> float | None:
    """Return a number, written as one or as text; None if there is none."""
    found = parent.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise TelephonyError(where + key, "not a number")
    try:
        value = float(found) if len(str(found)) <= 40 else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value < 1e15:
        raise TelephonyError(where + key, "not a sensible number")
    return value


def rate_of(value: float | None, where: str) -> int:
    """Return a sample rate; 8 kHz if the stream names none."""
    if value is None:
        return 8_000
    if value not in RATES:
        raise TelephonyError(where, f"must be one of {RATES}", TelephonyError.UNSUPPORTED)
    return int(value)


def unpack(payload: object, where: str) -> bytes:
    """Decode base64."""
    if not isinstance(payload, str):
        raise TelephonyError(where, "missing or not text")
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise TelephonyError(where, "not base64") from error


def chunks(
    payload: bytes, codec: Codec, rate: int, channels: tuple[str, ...], time: float | None
) -> Iterator[Chunk]:
    """Decode interleaved audio into one chunk a channel."""
    if len(payload) % (codec.width * len(channels)):
        raise TelephonyError("media", f"not whole samples of {len(channels)} {codec} channels")
    samples = decode(codec, payload)
    for index, participant in enumerate(channels):
        wire = Wire(codec, payload, index, len(channels))
        yield Chunk(participant, samples[index :: len(channels)], rate, time, wire)
