"""Sound, pictures and people of one Zoom stream, as its messages tell them. Pure."""

from collections.abc import Generator, Iterator
from itertools import count
from typing import Any
from zlib import crc32

from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.meetings.rtms_messages import (
    CODECS,
    PICTURES,
    RATES,
    Event,
    Kind,
    SessionState,
    StreamState,
    Wanted,
)
from monitor.ingest.telephony.dialect import (
    Ended,
    Left,
    Message,
    MessageError,
    Packet,
    Paused,
    Picture,
    Resumed,
    TelephonyError,
    child,
    number,
    tolerant,
    unpack,
    word,
)
from monitor.ingest.telephony.interleave import Interleave
from monitor.ingest.telephony.roster import Roster
from monitor.types import LostReason

_SAMPLES = {"l16": Codec.L16, "g711": Codec.MULAW}
_PACKETS = {"opus": 48_000, "g722": 8_000}
"""Hertz of the RTP clock of what comes in packets."""
_PERIOD = 0.02
"""Seconds of a packet."""
_DECODERS = {"jpeg": "mjpeg", "h264": "h264"}
_NOBODY = frozenset({"", "-1", "0"})
"""Ids of no user: several voices come as one."""
_MIXED = (
    "Zoom sends sound without user ids: all voices are one unnamed participant. "
    "Ask for separate streams (AUDIO_MULTI_STREAMS)"
)


class RtmsReader:
    """Reads what comes once a stream flows."""

    def __init__(self, wanted: Wanted) -> None:
        """`wanted`: what was asked for; `take_answer` says what is sent."""
        self._wanted = wanted
        self._codec = wanted.codec
        self._rate = _default_rate(wanted.codec)
        self._pictures = wanted.pictures
        self._roster = Roster()
        self._sounds: dict[str, Interleave] = {}
        self._counts: dict[str, Iterator[int]] = {}
        """Numbers of each one's packets."""
        self._sessions: dict[str, int] = {}
        self.mixed = ""
        """What people should know if voices cannot be told apart."""

    def restart(self) -> None:
        """Another connection follows: what it sends is counted anew; people keep their names."""
        self._sounds.clear()
        self._sessions.clear()

    def take_answer(self, kind: str, answer: dict[str, Any]) -> None:
        """Take the answer to a media request; raises TelephonyError for what cannot be read.

        Zoom repeats what it was asked for, and may have chosen otherwise.
        """
        params = answer.get("media_params")
        given = params.get(kind) if isinstance(params, dict) else None
        given = given if isinstance(given, dict) else {}
        where = f"media_params.{kind}."
        if kind == "video":
            self._pictures = _named(PICTURES, given, where, self._wanted.pictures)
            return
        self._codec = _named(CODECS, given, where, self._wanted.codec)
        rate = given.get("sample_rate")
        if rate is not None and (not isinstance(rate, int) or rate not in RATES):
            raise TelephonyError(where + "sample_rate", "none that is known")
        self._rate = _default_rate(self._codec) if rate is None else RATES[rate]
        self._sounds.clear()

    def read(self, message: dict[str, Any]) -> Iterator[Message]:
        """Read a message of either connection."""
        yield from tolerant(self._read(message))

    def _read(self, message: dict[str, Any]) -> Iterator[Message]:
        kind = message.get("msg_type")
        if kind == Kind.AUDIO:
            yield from self._audio(child(message, "content"))
        elif kind == Kind.VIDEO:
            yield from self._video(child(message, "content"))
        elif kind == Kind.EVENT:
            yield from self._event(child(message, "event"))
        elif kind == Kind.STREAM_STATE:
            yield from self._stream_state(message)
        elif kind == Kind.SESSION_STATE:
            yield from self._session_state(message)
        elif not isinstance(kind, int) or not Kind.SIGNALLING_REQUEST <= kind <= 29:
            yield Anomaly(AnomalyKind.EVENT, "msg_type", str(kind)[:40])

    def _who(self, content: dict[str, Any]) -> Generator[Anomaly, None, str]:
        """Return whose content it is; what is odd about that is yielded."""
        key, called = word(content, "user_id", "content."), ""
        try:
            called = word(content, "user_name", "content.")
        except MessageError as error:
            yield error.anomaly
        if key in _NOBODY:
            key = called = ""
            self.mixed = _MIXED
            yield Anomaly(AnomalyKind.TRACK, "content.user_id", _MIXED)
        return self._roster.name(key, called)

    def _audio(self, content: dict[str, Any]) -> Iterator[Message]:
        payload = unpack(content.get("data"), "content.data")
        if not payload:
            return
        time = yield from _seconds(content)
        name = yield from self._who(content)
        if self._codec in _SAMPLES:
            if name not in self._sounds:
                self._sounds[name] = Interleave(_SAMPLES[self._codec], self._rate, (name,))
            yield from self._sounds[name].read(payload, time)
            return
        # In the order of one connection: nothing can be missing.
        place = next(self._counts.setdefault(name, count()))
        stamp = round((place * _PERIOD if time is None else time) * _PACKETS[self._codec])
        yield Packet(name, self._codec, crc32(name.encode()), place, stamp, payload)

    def _video(self, content: dict[str, Any]) -> Iterator[Message]:
        payload = unpack(content.get("data"), "content.data")
        if not payload or not self._pictures:
            return
        time = yield from _seconds(content)
        name = yield from self._who(content)
        yield Picture(name, _DECODERS[self._pictures], payload, time)

    def _event(self, event: dict[str, Any]) -> Iterator[Message]:
        kind = event.get("event_type")
        people = event.get("participants")
        for person in people[:1000] if isinstance(people, list) else ():
            if not isinstance(person, dict) or (key := word(person, "user_id")) in _NOBODY:
                continue
            if kind == Event.PARTICIPANT_JOIN:
                self._roster.announce(key, word(person, "user_name"))
            elif kind == Event.PARTICIPANT_LEAVE:
                name = self._roster.leave(key)
                if name is not None:
                    self._sounds.pop(name, None)
                    yield Left(name)
        if kind == Event.MEDIA_INTERRUPTED:
            yield Paused(LostReason.RECONNECT)

    def _stream_state(self, message: dict[str, Any]) -> Iterator[Message]:
        state = message.get("state")
        if state in (StreamState.ACTIVE, StreamState.RESUMED):
            yield Resumed()
        elif state == StreamState.INTERRUPTED:
            yield Paused(LostReason.RECONNECT)
        elif state == StreamState.PAUSED:
            yield Paused()
        elif state in (StreamState.TERMINATING, StreamState.TERMINATED):
            yield Ended()

    def _session_state(self, message: dict[str, Any]) -> Iterator[Message]:
        session, state = word(message, "rtms_session_id"), message.get("state")
        if not isinstance(state, int) or len(self._sessions) >= 1000:
            return
        before = self._resting
        if state == SessionState.STOPPED:
            # One of several; the end of the stream is told by its own state.
            self._sessions.pop(session, None)
        else:
            self._sessions[session] = state
        if self._resting and not before:
            yield Paused()
        elif before and not self._resting:
            yield Resumed()

    @property
    def _resting(self) -> bool:
        """Whether every session is paused: nobody is to be heard."""
        states = set(self._sessions.values())
        return states == {SessionState.PAUSED}


def _seconds(content: dict[str, Any]) -> Generator[Anomaly, None, float | None]:
    try:
        milliseconds = number(content, "timestamp", "content.")
    except MessageError as error:
        yield error.anomaly
        milliseconds = None
    return None if milliseconds is None else milliseconds / 1000


def _default_rate(codec: str) -> int:
    return 8_000 if codec == "g711" else 16_000


def _named(known: dict[str, int], given: dict[str, Any], where: str, default: str) -> str:
    code = given.get("codec")
    if code is None:
        return default
    for name, number_ in known.items():
        if number_ == code:
            return name
    raise TelephonyError(where + "codec", f"{str(code)[:20]} is none of {', '.join(known)}")
