"""Media streams as JSON with base64 audio: Twilio, and Telnyx and Plivo that look like it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.ingest.dialect import (
    AGENT,
    REMOTE,
    Begin,
    Ended,
    Message,
    TelephonyError,
    Unknown,
    child,
    chunks,
    number,
    rate_of,
    read_object,
    unpack,
    word,
)
from monitor.ingest.g711 import Codec


@dataclass(frozen=True, slots=True)
class JsonDialect:
    """How one platform names things."""

    call: str
    """Key of the call's name in `start`."""
    format: str
    """Key of the media format in `start`."""
    rate: str
    """Key of the sample rate in the media format."""
    encodings: Mapping[str, Codec]
    """By `encoding` in the media format, lower case."""
    silent: frozenset[str]
    """Events without meaning for monitoring."""


_TWILIO = {"audio/x-mulaw": Codec.MULAW}
DIALECTS: Mapping[str, JsonDialect] = {
    "twilio": JsonDialect(
        "callSid", "mediaFormat", "sampleRate", _TWILIO, frozenset({"dtmf", "mark"})
    ),
    "telnyx": JsonDialect(
        "call_control_id",
        "media_format",
        "sample_rate",
        # L16 is left out: Telnyx does not say in which byte order it comes.
        {"pcmu": Codec.MULAW, "pcma": Codec.ALAW},
        frozenset({"dtmf", "mark", "error"}),
    ),
    "plivo": JsonDialect(
        "callId",
        "mediaFormat",
        "sampleRate",
        _TWILIO | {"audio/x-l16": Codec.L16},
        frozenset({"dtmf", "playedStream", "clearedAudio"}),
    ),
}
_TRACKS = {"inbound": REMOTE, "outbound": AGENT}
_TRACKS |= {f"{name}_track": participant for name, participant in _TRACKS.items()}


class JsonParser:
    """Reads one stream of such a platform."""

    def __init__(self, dialect: JsonDialect) -> None:
        self._dialect = dialect
        self._codec: Codec | None = None
        self._rate = 0

    def text(self, data: str) -> Iterator[Message]:
        """Read an event."""
        message = read_object(data)
        event = word(message, "event")
        if event == "media":
            yield from self._media(child(message, "media"))
        elif event == "start":
            yield self._start(child(message, "start"))
        elif event == "stop":
            yield Ended()
        elif event != "connected" and event not in self._dialect.silent:
            yield Unknown(event)

    def binary(self, data: bytes) -> Iterator[Message]:
        """Refuse: there are none in these dialects."""
        raise TelephonyError("message", "binary, but text is due", TelephonyError.UNSUPPORTED)

    def farewell(self, error: str | None) -> str | None:
        """Say nothing: closing is enough."""
        return None

    def _start(self, start: dict[str, Any]) -> Begin:
        if self._codec is not None:
            raise TelephonyError("event", "a second start", TelephonyError.VIOLATION)
        dialect = self._dialect
        media = child(start, dialect.format)
        where = f"start.{dialect.format}."
        encoding = word(media, "encoding", where)
        codec = dialect.encodings.get(encoding.lower())
        if codec is None:
            known = ", ".join(dialect.encodings)
            raise TelephonyError(
                f"{where}encoding",
                f"{encoding[:40]!r} is not one of {known}",
                TelephonyError.UNSUPPORTED,
            )
        if (number(media, "channels", where) or 1) != 1:
            raise TelephonyError(f"{where}channels", "must be 1", TelephonyError.UNSUPPORTED)
        self._rate = rate_of(number(media, dialect.rate, where), where + dialect.rate)
        tracks = start.get("tracks") or ["inbound"]
        if not isinstance(tracks, list):
            raise TelephonyError("start.tracks", "not a list")
        participants = tuple(dict.fromkeys(_participant(t, "start.tracks") for t in tracks))
        call = word(start, dialect.call, "start.")
        self._codec = codec
        return Begin(call, participants)

    def _media(self, media: dict[str, Any]) -> Iterator[Message]:
        if self._codec is None:
            raise TelephonyError("event", "media before start", TelephonyError.VIOLATION)
        participant = _participant(media.get("track", "inbound"), "media.track")
        milliseconds = number(media, "timestamp", "media.")
        time = None if milliseconds is None else milliseconds / 1000
        payload = unpack(media.get("payload"), "media.payload")
        yield from chunks(payload, self._codec, self._rate, (participant,), time)


def _participant(track: object, where: str) -> str:
    found = _TRACKS.get(track) if isinstance(track, str) else None
    if found is None:
        raise TelephonyError(where, "a track must be inbound or outbound")
    return found
