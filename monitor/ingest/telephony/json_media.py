"""Media streams as JSON with base64 audio: Twilio, and Telnyx and Plivo that look like it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from monitor.ingest.codecs.audio_payload import SoundFormat, sound_format
from monitor.ingest.codecs.formats import read_format, read_packets
from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import (
    AGENT,
    REMOTE,
    Begin,
    Chunk,
    Early,
    Ended,
    Events,
    Message,
    MessageError,
    Packet,
    TelephonyError,
    child,
    number,
    rate_of,
    read_object,
    unpack,
    word,
)
from monitor.ingest.telephony.interleave import Interleave


@dataclass(frozen=True, slots=True)
class JsonDialect:
    """How one platform names things."""

    call: str
    """Key of the call's name in `start`."""
    format: str
    """Key of the media format in `start`."""
    rate: str
    """Key of the sample rate in the media format."""
    silent: frozenset[str]
    """Events without meaning for monitoring."""
    order: str = ""
    """Key in `media` of its number, where messages may come out of order."""


DIALECTS: Mapping[str, JsonDialect] = {
    "twilio": JsonDialect("callSid", "mediaFormat", "sampleRate", frozenset({"dtmf", "mark"})),
    "telnyx": JsonDialect(
        "call_control_id", "media_format", "sample_rate", frozenset({"dtmf", "mark"}), "chunk"
    ),
    "plivo": JsonDialect(
        "callId",
        "mediaFormat",
        "sampleRate",
        frozenset({"dtmf", "playedStream", "clearedAudio"}),
    ),
}
_TRACKS = {
    **dict.fromkeys(("inbound", "in", "caller", "customer", "external", "remote"), (REMOTE,)),
    **dict.fromkeys(("outbound", "out", "callee", "agent", "internal"), (AGENT,)),
    "both": (REMOTE, AGENT),
}
"""Whom a track carries; without `_track` or `_tracks` at its end."""
_USUAL = 0.02
"""Seconds of a packet that does not tell."""
_MOST_NAMES = 16
"""Tracks of one stream."""


class JsonParser(Events):
    """Reads one stream of such a platform."""

    def __init__(self, dialect: JsonDialect) -> None:
        self._dialect = dialect
        self._codec: Codec | None = None
        self._packets: SoundFormat | None = None
        """In place of `_codec`: messages hold packets as by RTP."""
        self._rate = 0
        self._stereo = False
        self._announced: tuple[str, ...] = ()
        self._sounds: dict[str, Interleave] = {}
        """By the name of the track."""
        self._counted: dict[str, int] = {}
        """Packets of each track so far, less one."""
        self._carried: dict[str, str] = {}
        """Whom each track carries, by its name."""

    def opening(self) -> Iterator[Message]:
        """Say nothing: `start` tells."""
        return iter(())

    @property
    def _described(self) -> bool:
        """Whether it is known what the sound is."""
        return self._codec is not None or self._packets is not None

    def _event(self, data: str) -> Iterator[Message]:
        message = read_object(data)
        event = word(message, "event")
        if event == "media":
            if not self._described:
                yield Early()
            else:
                yield from self._media(child(message, "media"))
        elif event == "start":
            found = message.get("start")
            yield from self._start(found if isinstance(found, dict) else message)
        elif event == "stop":
            yield Ended()
        elif event == "error":
            yield Anomaly(AnomalyKind.EVENT, "event", "the platform reports an error")
        elif event != "connected" and event not in self._dialect.silent:
            yield Anomaly(AnomalyKind.EVENT, "event", event[:40] or "none")

    def _start(self, start: dict[str, Any]) -> Iterator[Message]:
        again = self._described
        if again:
            yield Anomaly(AnomalyKind.ORDER, "event", "a second start; its format counts")
        try:
            yield from self._describe(start)
        except TelephonyError as error:
            if not again:
                raise
            yield Anomaly(AnomalyKind.FORMAT, error.field, error.detail)
        if again:
            return
        tracks = start.get("tracks")
        self._announced = _named(tracks)
        if tracks and not self._announced:
            yield Anomaly(AnomalyKind.TRACK, "start.tracks", "names no track that is known")
        try:
            call = word(start, self._dialect.call, "start.")
        except MessageError as error:
            yield error.anomaly
            call = ""
        yield Begin(call, self._announced)

    def _describe(self, start: dict[str, Any]) -> Iterator[Message]:
        """Take in the format; raises TelephonyError for one that cannot be decoded."""
        dialect = self._dialect
        where = f"start.{dialect.format}."
        media = start.get(dialect.format)
        if not isinstance(media, dict):
            yield Anomaly(AnomalyKind.FORMAT, where[:-1], "missing: mu-law at 8 kHz, as by default")
            media = {}
        name, rate, channels = "", None, 1.0
        try:
            name = word(media, "encoding", where)
            rate = number(media, dialect.rate, where)
            channels = number(media, "channels", where) or 1
        except MessageError as error:
            yield error.anomaly
        self._packets = sound_format(read_packets(name) or "")
        if self._packets is not None:
            self._codec, self._stereo = None, False
            self._sounds.clear()
            return
        found = read_format(name or "mulaw")
        if found is None:
            raise TelephonyError(
                f"{where}encoding",
                f"{name[:40]!r} is none of mu-law, A-law, L16, Opus, G.722, G.729 and AMR",
            )
        if channels > 2:
            raise TelephonyError(f"{where}channels", "more than 2")
        self._codec, named = found
        try:
            self._rate = rate_of(rate, where + dialect.rate, named or 8_000)
        except MessageError as error:
            yield error.anomaly
            self._rate = named or 8_000
        self._stereo = channels == 2
        if self._stereo:
            yield Anomaly(AnomalyKind.FORMAT, f"{where}channels", "2: the first is the inbound")
        self._sounds.clear()

    def _media(self, media: dict[str, Any]) -> Iterator[Message]:
        name = _bare(media.get("track")) or "inbound"
        if name not in self._carried:
            yield from self._meet(name)
        payload = unpack(media.get("payload"), "media.payload")
        time = None
        try:
            milliseconds = number(media, "timestamp", "media.")
            time = None if milliseconds is None else milliseconds / 1000
        except MessageError as error:
            yield error.anomaly
        place = None
        try:
            place = number(media, self._dialect.order, "media.") if self._dialect.order else None
        except MessageError as error:
            yield error.anomaly
        if self._packets is not None:
            yield self._packet(name, payload, time, self._packets)
        elif (sound := self._sound(name)) is not None:
            for found in sound.read(payload, time):
                if place is not None and isinstance(found, Chunk):
                    # Pieces of a long message stay together.
                    found, place = replace(found, number=int(place)), None
                yield found

    def _packet(
        self, name: str, payload: bytes, time: float | None, packets: SoundFormat
    ) -> Packet:
        """One packet as by RTP, of which over TCP none is missing."""
        number = self._counted[name] = self._counted.get(name, -1) + 1
        stamp = number * _USUAL if time is None else time
        return Packet(
            self._carried[name],
            packets.name,
            crc32(name.encode()),
            number,
            round(stamp * packets.clock),
            payload,
        )

    def _sound(self, name: str) -> Interleave | None:
        if name not in self._sounds and self._codec is not None:
            who = (REMOTE, AGENT) if self._stereo else (self._carried[name],)
            self._sounds[name] = Interleave(self._codec, self._rate, who)
        return self._sounds.get(name)

    def _meet(self, name: str) -> Iterator[Message]:
        """Find out whom a track carries that is heard for the first time."""
        if len(self._carried) >= _MOST_NAMES:
            raise MessageError("media.track", "too many tracks", AnomalyKind.TRACK)
        known = _TRACKS.get(name, ())
        if self._stereo:
            who: tuple[str, ...] = (REMOTE, AGENT)
        elif len(known) == 1:
            who = known
        elif REMOTE not in self._carried.values():
            # One track that says not whose it is, or is both parties' mixture: as one voice.
            who = (REMOTE,)
        else:
            raise MessageError("media.track", "neither inbound nor outbound", AnomalyKind.TRACK)
        if len(known) != 1:
            yield Anomaly(AnomalyKind.TRACK, "media.track", "an unknown track, taken as inbound")
        elif self._announced and not set(who) <= set(self._announced):
            yield Anomaly(AnomalyKind.TRACK, "media.track", f"{name} was not announced")
        self._carried[name] = who[0]


def _bare(track: object) -> str:
    """A track's name in lower case, without `_track` at its end; empty for none."""
    if not isinstance(track, str):
        return ""
    name = track.strip().lower()[:40]
    return name.removesuffix("_tracks" if name.endswith("s") else "_track")


def _named(tracks: object) -> tuple[str, ...]:
    """Whom `tracks` announces, whether it is a list or one text."""
    words = re.split(r"[\s,+|]+", tracks[:400]) if isinstance(tracks, str) else tracks
    if not isinstance(words, list):
        return ()
    found = (who for each in words[:_MOST_NAMES] for who in _TRACKS.get(_bare(each), ()))
    return tuple(dict.fromkeys(found))
