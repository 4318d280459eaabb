"""Media streams as text metadata, then bare binary audio: Vonage, jambonz, FreeSWITCH, Asterisk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.ingest.codecs.formats import read_format
from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import (
    AGENT,
    REMOTE,
    Begin,
    Early,
    Ended,
    Message,
    MessageError,
    Paused,
    Resumed,
    TelephonyError,
    number,
    rate_of,
    read_object,
    tolerant,
    word,
)
from monitor.ingest.telephony.interleave import Interleave, paired
from monitor.ingest.telephony.roster import LONGEST_NAME, plain

_MIXES: Mapping[str, tuple[str, ...]] = {
    "mono": (REMOTE,),
    "mixed": (REMOTE,),
    "stereo": (REMOTE, AGENT),
    "joint": (REMOTE, REMOTE),
}
"""Whom channels carry; `joint`: both the same voice."""


@dataclass(frozen=True, slots=True)
class BinaryDialect:
    """How one platform describes what its binary messages hold; empty means it does not."""

    opening: str = ""
    """Event that describes the stream; without one, the first text does."""
    call: str = ""
    """Key of the call's name."""
    encoding: str = ""
    """Key of codec and rate together, as `read_format` reads it."""
    rate: str = ""
    """Key of the sample rate."""
    mix: str = ""
    """Key of the channels: mono, stereo or mixed."""
    described: bool = True
    """Whether a description must come; without it, the URL's parameters count."""
    plain: bool = False
    """Whether text may be `EVENT key:value key:value` instead of JSON."""
    default_rate: int = 8_000
    """Hertz, where neither the description nor the URL names a rate."""
    ends: frozenset[str] = frozenset()
    """Events that end the stream."""
    silent: frozenset[str] = frozenset()
    """Events without meaning for monitoring."""
    muted: str = ""
    """Key of text that says whether the far end is muted."""
    named: bool = False
    """Whether the stream is one person's, named by the URL, in one channel or two."""


DIALECTS: Mapping[str, BinaryDialect] = {
    "vonage": BinaryDialect(
        opening="websocket:connected",
        call="call_uuid",
        encoding="content-type",
        default_rate=16_000,
        silent=frozenset({"websocket:dtmf", "websocket:cleared", "websocket:notify"})
        | {"websocket:media:update"},
    ),
    "jambonz": BinaryDialect(
        call="callSid", rate="sampleRate", mix="mixType", silent=frozenset({"dtmf"})
    ),
    # The metadata is whatever the dialplan says, so rate and mix come from the URL.
    "freeswitch": BinaryDialect(described=False),
    # Track egress: 48 kHz unless the track is of another rate, and nothing says how many channels.
    "livekit": BinaryDialect(described=False, default_rate=48_000, muted="muted", named=True),
    # A client of ours, see examples/agents: what it sends is what the URL says.
    "pcm": BinaryDialect(
        described=False,
        default_rate=16_000,
        muted="muted",
        named=True,
        ends=frozenset({"end"}),
    ),
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
        """`query` may hold `rate`, `mix`, `channels` and `participant`.

        Raises TelephonyError for wrong ones.
        """
        self._dialect = dialect
        self._begun = False
        self._codec = Codec.L16
        self._channels = _mix(query.get("mix", "mono"))
        try:
            self._rate = rate_of(number(query, "rate", "?"), "?rate", dialect.default_rate)
        except MessageError as error:
            raise TelephonyError("?rate", error.anomaly.detail) from error
        self._forced = _parties(query["channels"]) if query.get("channels") else None
        self._sound: Interleave | None = None
        self._counted = not dialect.named or "mix" in query
        """Whether it is known how many channels there are."""
        if dialect.named:
            name = plain(query.get("participant", ""))[:LONGEST_NAME] or REMOTE
            self._channels = (name,) * len(self._channels)

    def opening(self) -> Iterator[Message]:
        """Begin where no description is due: a channel on hold may send nothing for long."""
        if not self._dialect.described:
            yield from self._begin("")

    def text(self, data: str) -> Iterator[Message]:
        """Read metadata or an event."""
        # Where nothing is described, text is the dialplan's own and says nothing to us.
        if self._dialect.muted:
            yield from tolerant(self._mute(data))
        elif self._dialect.described and data.strip():
            yield from tolerant(self._event(data))

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read audio."""
        if self._sound is None:
            yield Early()
            return
        if not self._counted and (pairs := paired(data)) is not None:
            self._counted = True
            if pairs:
                self._channels *= 2
                self._open()
                yield Anomaly(AnomalyKind.FORMAT, "?mix", "2 channels of one voice, by their sound")
        yield from self._sound.read(data, None)

    def _mute(self, data: str) -> Iterator[Message]:
        message = read_object(data)
        muted = message.get(self._dialect.muted)
        if isinstance(muted, bool):
            yield Paused() if muted else Resumed()
        if word(message, "event") in self._dialect.ends:
            yield Ended()

    def farewell(self, error: str | None) -> str | None:
        """Say nothing: closing is enough."""
        return None

    def _event(self, data: str) -> Iterator[Message]:
        dialect = self._dialect
        message = self._read(data)
        event = word(message, "event")
        if self._describes(message, event):
            if self._begun:
                yield Anomaly(AnomalyKind.ORDER, "event", "a second description; it counts now")
            yield from self._describe(message)
            if self._begun:
                self._open()
                return
            try:
                call = word(message, dialect.call) if dialect.call else ""
            except MessageError as error:
                yield error.anomaly
                call = ""
            yield from self._begin(call)
        elif event in dialect.ends:
            yield Ended()
        elif event not in dialect.silent and (event or dialect.opening):
            yield Anomaly(AnomalyKind.EVENT, "event", event[:40] or "none")

    def _describes(self, message: Mapping[str, Any], event: str) -> bool:
        """Whether a message says what follows."""
        dialect = self._dialect
        if event and event == dialect.opening:
            return True
        # Whatever it is called: the first text that names a format.
        keys = {dialect.encoding, dialect.rate, dialect.mix, dialect.call} - {""}
        return not self._begun and bool(keys & message.keys()) and event not in dialect.silent

    def _read(self, data: str) -> dict[str, Any]:
        if not self._dialect.plain or data.lstrip().startswith("{"):
            return read_object(data)
        event, *pairs = data.split() or [""]
        return {"event": event} | {k: v for k, _, v in (p.partition(":") for p in pairs)}

    def _describe(self, message: Mapping[str, Any]) -> Iterator[Message]:
        """Take in what follows; raises TelephonyError for what cannot be decoded."""
        dialect = self._dialect
        if dialect.encoding:
            name = word(message, dialect.encoding)
            found = read_format(name)
            if found is not None:
                yield from self._take_format(*found)
            elif name and not self._begun:
                raise TelephonyError(
                    dialect.encoding, f"{name[:40]!r} is none of mu-law, A-law and linear PCM"
                )
            else:
                detail = f"none that is known: {self._codec} at {self._rate} Hz, as before"
                yield Anomaly(AnomalyKind.FORMAT, dialect.encoding, detail)
        if dialect.rate:
            try:
                self._rate = rate_of(number(message, dialect.rate), dialect.rate, self._rate)
            except MessageError as error:
                yield error.anomaly
        mix = message.get(dialect.mix) if dialect.mix else None
        if isinstance(mix, str) and mix.lower() in _MIXES:
            self._channels = _MIXES[mix.lower()]
        elif mix is not None:
            detail = f"none that is known: {len(self._channels)} channels, as before"
            yield Anomaly(AnomalyKind.FORMAT, dialect.mix, detail)

    def _take_format(self, codec: Codec, rate: int | None) -> Iterator[Message]:
        self._codec = codec
        default = self._rate if codec is Codec.L16 else 8_000
        try:
            self._rate = rate_of(rate, self._dialect.encoding, default)
        except MessageError as error:
            yield error.anomaly

    def _begin(self, call: str) -> Iterator[Message]:
        if self._forced is not None and len(self._forced) == len(self._channels):
            self._channels = self._forced
        elif self._forced is not None:
            detail = f"{len(self._forced)} named, the stream has {len(self._channels)}"
            yield Anomaly(AnomalyKind.FORMAT, "?channels", detail)
            self._channels = self._forced[:1] if len(self._channels) == 1 else self._channels
        self._begun = True
        self._open()
        if self._dialect.named:
            yield Begin(call, self._channels[:1], meeting=True)
        else:
            yield Begin(call, tuple(dict.fromkeys(self._channels)))

    def _open(self) -> None:
        self._sound = Interleave(self._codec, self._rate, self._channels)


def _mix(name: str) -> tuple[str, ...]:
    if name not in _MIXES:
        raise TelephonyError("?mix", f"must be one of {', '.join(_MIXES)}")
    return _MIXES[name]


def _parties(names: str) -> tuple[str, ...]:
    found = tuple(names.split(","))
    if not set(found) <= {REMOTE, AGENT} or len(set(found)) != len(found):
        raise TelephonyError("?channels", "remote and agent, separated by a comma")
    return found
