"""Meetings as JSON with base64 media of each participant: Attendee, Recall.ai, Azure."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import (
    Begin,
    Ended,
    Events,
    Left,
    Message,
    MessageError,
    Picture,
    number,
    rate_of,
    read_object,
    unpack,
    word,
)
from monitor.ingest.telephony.interleave import Interleave
from monitor.ingest.telephony.roster import Roster


@dataclass(frozen=True, slots=True)
class MeetingDialect:
    """How one platform names things; `a.b` is `b` inside of `a`, letters in either case."""

    event: str
    """What kind a message is of."""
    body: str
    """Where a message of any kind below has its content; what follows is named from there."""
    sounds: frozenset[str]
    """Events with sound, 16 bits a sample, one channel."""
    payload: str
    key: str
    """What tells participants apart."""
    time: str
    """Number in `unit` seconds, or text as in ISO 8601."""
    unit: float = 1.0
    name: str = ""
    """What people are called."""
    rate: str = ""
    """Hertz of a message's sound."""
    described: Mapping[str, str] = field(default_factory=dict)
    """Events that say the rate of what follows, and where from their top."""
    default_rate: int = 16_000
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Events with pictures, and FFmpeg's name of their codec."""
    picture: str = ""
    """Where a picture is."""
    source: str = ""
    """What a picture is of; only `webcam` is somebody's face."""
    leaves: frozenset[str] = frozenset()
    """Events of somebody who has left."""
    ends: frozenset[str] = frozenset()
    """Events that end the stream."""
    silent: frozenset[str] = frozenset()
    """Beginnings of events without meaning for monitoring."""


DIALECTS: Mapping[str, MeetingDialect] = {
    "attendee": MeetingDialect(
        event="trigger",
        body="data",
        sounds=frozenset({"realtime_audio.per_participant", "realtime_audio.mixed"}),
        payload="chunk",
        key="participant_uuid",
        time="timestamp_ms",
        unit=0.001,
        rate="sample_rate",
        pictures={"realtime_video.per_participant": "mjpeg"},
        picture="frame",
        source="source",
    ),
    "recall": MeetingDialect(
        event="event",
        body="data.data",
        sounds=frozenset({"audio_separate_raw.data", "audio_mixed_raw.data"}),
        payload="buffer",
        key="participant.id",
        name="participant.name",
        time="timestamp.relative",
        pictures={"video_separate_png.data": "png", "video_separate_h264.data": "h264"},
        picture="buffer",
        source="type",
        leaves=frozenset({"participant_events.leave"}),
        silent=frozenset({"participant_events.", "transcript."}),
    ),
    "acs": MeetingDialect(
        event="kind",
        body="audioData",
        sounds=frozenset({"audiodata"}),
        payload="data",
        key="participantRawID",
        time="timestamp",
        described={"audiometadata": "audioMetadata.sampleRate"},
        silent=frozenset({"dtmfdata", "transcription"}),
    ),
}
_WEBCAM = frozenset({"", "webcam"})
_MIXED = "all voices come as one, of an unnamed participant; ask for each one's own"


class MeetingParser(Events):
    """Reads one stream of such a platform."""

    def __init__(self, dialect: MeetingDialect) -> None:
        self._dialect = dialect
        self._rate = dialect.default_rate
        self._roster = Roster()
        self._sounds: dict[str, tuple[int, Interleave]] = {}
        """Rate and sound by the name of the participant."""

    def opening(self) -> Iterator[Message]:
        """Begin: who is there is told by who is heard."""
        yield Begin("", (), meeting=True)

    def _event(self, data: str) -> Iterator[Message]:
        dialect = self._dialect
        message = read_object(data)
        event = word({"event": _inside(message, dialect.event)}, "event").lower()
        if event in dialect.described:
            yield from self._describe(message, dialect.described[event])
        elif event in dialect.sounds:
            yield from self._sound(_body(message, dialect.body))
        elif event in dialect.pictures:
            yield from self._picture(_body(message, dialect.body), dialect.pictures[event])
        elif event in dialect.leaves:
            body = _body(message, dialect.body)
            name = self._roster.leave(word({"key": _inside(body, dialect.key)}, "key"))
            if name is not None:
                self._sounds.pop(name, None)
                yield Left(name)
        elif event in dialect.ends:
            yield Ended()
        elif not event.startswith(tuple(dialect.silent) or ("\0",)):
            yield Anomaly(AnomalyKind.EVENT, dialect.event, event[:40] or "none")

    def _describe(self, message: dict[str, Any], path: str) -> Iterator[Message]:
        given = number({"rate": _inside(message, path)}, "rate")
        self._rate = rate_of(given, path, self._dialect.default_rate)
        yield from ()

    def _sound(self, body: dict[str, Any]) -> Iterator[Message]:
        dialect = self._dialect
        payload = unpack(_inside(body, dialect.payload), dialect.payload)
        if not payload:
            return
        rate = self._rate
        if dialect.rate:
            given = number({"rate": _inside(body, dialect.rate)}, "rate")
            rate = rate_of(given, dialect.rate, dialect.default_rate)
        time = yield from self._time(body)
        name = yield from self._who(body)
        known = self._sounds.get(name)
        if known is None or known[0] != rate:
            known = self._sounds[name] = rate, Interleave(Codec.L16, rate, (name,))
        yield from known[1].read(payload, time)

    def _picture(self, body: dict[str, Any], codec: str) -> Iterator[Message]:
        dialect = self._dialect
        source = _inside(body, dialect.source)
        if (source if isinstance(source, str) else "").lower() not in _WEBCAM:
            # A shared screen shows whatever it shows, and not who speaks.
            return
        payload = unpack(_inside(body, dialect.picture), dialect.picture)
        if not payload:
            return
        time = yield from self._time(body)
        name = yield from self._who(body)
        yield Picture(name, codec, payload, time)

    def _who(self, body: dict[str, Any]) -> Generator[Anomaly, None, str]:
        key, called = word({"key": _inside(body, self._dialect.key)}, "key"), ""
        try:
            called = word({"name": _inside(body, self._dialect.name)}, "name")
        except MessageError as error:
            yield error.anomaly
        if not key:
            yield Anomaly(AnomalyKind.TRACK, self._dialect.key, _MIXED)
        return self._roster.name(key, called or key)

    def _time(self, body: dict[str, Any]) -> Generator[Anomaly, None, float | None]:
        """Return seconds of the platform's clock; None where it tells none that can be read."""
        where = self._dialect.time
        found = _inside(body, where)
        if isinstance(found, str) and ":" in found[:40]:
            try:
                # Python before 3.11.4 knows no more than six places of a second.
                return datetime.fromisoformat(found[:19] + "+00:00").timestamp() + _parts(found)
            except (ValueError, OverflowError):
                yield Anomaly(AnomalyKind.MESSAGE, where, "no time")
                return None
        try:
            value = number({"time": found}, "time")
        except MessageError as error:
            yield error.anomaly
            return None
        return None if value is None else value * self._dialect.unit


def _parts(stamp: str) -> float:
    """What follows the whole seconds of a time in ISO 8601."""
    digits = ""
    for letter in stamp[20:40] if stamp[19:20] == "." else "":
        if not letter.isascii() or not letter.isdigit():
            break
        digits += letter
    return float(f"0.{digits or 0}")


def _inside(parent: Any, path: str) -> Any:
    """What is at a path; None if nothing is."""
    found = parent
    for key in path.split(".") if path else ():
        if not isinstance(found, dict):
            return None
        if key in found:
            found = found[key]
        else:
            low = key.lower()
            found = next((v for k, v in found.items() if k.lower() == low), None)
    return found if path else None


def _body(message: dict[str, Any], path: str) -> dict[str, Any]:
    found = _inside(message, path)
    if not isinstance(found, dict):
        raise MessageError(path, "missing or not an object")
    return found
