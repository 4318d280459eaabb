"""Media streams as text metadata, then bare binary audio: Vonage, jambonz, FreeSWITCH, Asterisk."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.ingest.dialect import (
    AGENT,
    RATES,
    REMOTE,
    Begin,
    Ended,
    Message,
    TelephonyError,
    Unknown,
    chunks,
    number,
    rate_of,
    read_object,
    word,
)
from monitor.ingest.g711 import Codec

_MIXES: Mapping[str, tuple[str, ...]] = {
    "mono": (REMOTE,),
    "mixed": (REMOTE,),
    "stereo": (REMOTE, AGENT),
}
_ENCODINGS: Mapping[str, tuple[Codec, int]] = {
    "ulaw": (Codec.MULAW, 8_000),
    "alaw": (Codec.ALAW, 8_000),
    "slin": (Codec.L16, 8_000),
    "slin16": (Codec.L16, 16_000),
    **{f"audio/l16;rate={rate}": (Codec.L16, rate) for rate in RATES},
}


@dataclass(frozen=True, slots=True)
class BinaryDialect:
    """How one platform describes what its binary messages hold; empty means it does not."""

    opening: str = ""
    """Event that describes the stream; without one, the first text does."""
    call: str = ""
    """Key of the call's name."""
    encoding: str = ""
    """Key of codec and rate together, one of `_ENCODINGS`."""
    rate: str = ""
    """Key of the sample rate."""
    mix: str = ""
    """Key of the channels: mono, stereo or mixed."""
    described: bool = True
    """Whether a description must come; without it, the URL's parameters count."""
    plain: bool = False
    """Whether text may be `EVENT key:value key:value` instead of JSON."""
    ends: frozenset[str] = frozenset()
    """Events that end the stream."""
    silent: frozenset[str] = frozenset()
    """Events without meaning for monitoring."""


DIALECTS: Mapping[str, BinaryDialect] = {
    "vonage": BinaryDialect(
        opening="websocket:connected",
        call="call_uuid",
        encoding="content-type",
        silent=frozenset({"websocket:dtmf", "websocket:cleared", "websocket:notify"}),
    ),
    "jambonz": BinaryDialect(call="callSid", rate="sampleRate", mix="mixType"),
    # The metadata is whatever the dialplan says, so rate and mix come from the URL.
    "freeswitch": BinaryDialect(described=False),
    "asterisk": BinaryDialect(
        opening="MEDIA_START",
        call="channel",
        encoding="format",
        plain=True,
        ends=frozenset({"HANGUP"}),
        silent=frozenset(
            {"DTMF_END", "MEDIA_XOFF", "MEDIA_XON", "STATUS", "QUEUE_DRAINED"}
            | {"MEDIA_BUFFERING_COMPLETED", "MEDIA_MARK_PROCESSED"}
        ),
    ),
}


class BinaryParser:
    """Reads one stream of such a platform."""

    def __init__(self, dialect: BinaryDialect, query: Mapping[str, str]) -> None:
        """`query` may hold `rate`, `mix` and `channels`; raises TelephonyError for wrong ones."""
        self._dialect = dialect
        self._begun = False
        self._codec = Codec.L16
        self._rate = rate_of(number(query, "rate", "?"), "?rate")
        self._channels = _mix(query.get("mix", "mono"), "?mix")
        self._forced = _channels(query["channels"]) if query.get("channels") else None

    def text(self, data: str) -> Iterator[Message]:
        """Read metadata or an event."""
        dialect = self._dialect
        if not dialect.described:
            if not self._begun:
                yield self._begin("")
            return
        message = self._read(data)
        event = word(message, "event") if dialect.opening else ""
        if event == dialect.opening:
            if not self._begun:
                self._describe(message)
                yield self._begin(word(message, dialect.call) if dialect.call else "")
            elif dialect.opening:
                raise TelephonyError("event", f"a second {event}", TelephonyError.VIOLATION)
        elif event in dialect.ends:
            yield Ended()
        elif event not in dialect.silent:
            yield Unknown(event)

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read audio."""
        if not self._begun:
            if self._dialect.described:
                opening = self._dialect.opening or "the metadata"
                raise TelephonyError("event", f"media before {opening}", TelephonyError.VIOLATION)
            yield self._begin("")
        yield from chunks(data, self._codec, self._rate, self._channels, None)

    def farewell(self, error: str | None) -> str | None:
        """Say nothing: closing is enough."""
        return None

    def _read(self, data: str) -> dict[str, Any]:
        if not self._dialect.plain or data.lstrip().startswith("{"):
            return read_object(data)
        event, *pairs = data.split() or [""]
        return {"event": event} | {k: v for k, _, v in (p.partition(":") for p in pairs)}

    def _describe(self, message: Mapping[str, Any]) -> None:
        dialect = self._dialect
        if dialect.encoding:
            name = re.sub(r"\s", "", word(message, dialect.encoding)).lower()
            if name not in _ENCODINGS:
                raise TelephonyError(
                    dialect.encoding,
                    f"{name[:40]!r} is not one of {', '.join(_ENCODINGS)}",
                    TelephonyError.UNSUPPORTED,
                )
            self._codec, self._rate = _ENCODINGS[name]
        if dialect.rate:
            self._rate = rate_of(number(message, dialect.rate), dialect.rate)
        if dialect.mix:
            self._channels = _mix(word(message, dialect.mix) or "mono", dialect.mix)

    def _begin(self, call: str) -> Begin:
        if self._forced is not None:
            if len(self._forced) != len(self._channels):
                raise TelephonyError(
                    "?channels", f"the stream has {len(self._channels)}", TelephonyError.VIOLATION
                )
            self._channels = self._forced
        self._begun = True
        return Begin(call, self._channels)


def _mix(name: str, where: str) -> tuple[str, ...]:
    if name not in _MIXES:
        raise TelephonyError(where, f"must be one of {', '.join(_MIXES)}")
    return _MIXES[name]


def _channels(names: str) -> tuple[str, ...]:
    found = tuple(names.split(","))
    if not set(found) <= {REMOTE, AGENT} or len(set(found)) != len(found):
        raise TelephonyError("?channels", "remote and agent, separated by a comma")
    return found
