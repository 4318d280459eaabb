"""What Zoom's Realtime Media Streams say, and what is said to them. Pure.

Numbers and fields after developers.zoom.us/docs/rtms and the headers of Zoom's own SDK (zoom/rtms,
1.1.0); messages that only one of both has are read as either.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """`msg_type`."""

    SIGNALLING_REQUEST = 1
    SIGNALLING_ANSWER = 2
    MEDIA_REQUEST = 3
    MEDIA_ANSWER = 4
    SUBSCRIBE = 5
    EVENT = 6
    READY = 7
    STREAM_STATE = 8
    SESSION_STATE = 9
    KEEP_ALIVE = 12
    KEEP_ALIVE_ANSWER = 13
    AUDIO = 14
    VIDEO = 15


class StreamState(IntEnum):
    """`state` of a stream."""

    INACTIVE = 0
    ACTIVE = 1
    INTERRUPTED = 2
    TERMINATING = 3
    TERMINATED = 4
    PAUSED = 5
    RESUMED = 6


class SessionState(IntEnum):
    """`state` of a session; a stream may hold several."""

    INACTIVE = 0
    INITIALIZE = 1
    STARTED = 2
    PAUSED = 3
    RESUMED = 4
    STOPPED = 5


class Event(IntEnum):
    """`event_type`."""

    PARTICIPANT_JOIN = 3
    PARTICIPANT_LEAVE = 4
    MEDIA_INTERRUPTED = 7


MEDIA = {"audio": 1, "video": 2}
"""`media_type`."""
CODECS = {"l16": 1, "g711": 2, "g722": 3, "opus": 4}
"""Sound, by the names of the settings."""
PICTURES = {"jpeg": 5, "h264": 7}
RATES = {0: 8_000, 1: 16_000, 2: 32_000, 3: 48_000}
"""Hertz by `sample_rate`."""
_RATE = {"l16": 1, "g711": 0, "g722": 1, "opus": 3}
"""`sample_rate` that is asked for."""
_RAW_AUDIO, _RAW_VIDEO = 2, 3
_MONO = 1
_EACH, _ACTIVE_SPEAKER = 2, 3
"""`data_opt`: everybody's sound apart; the picture of who speaks."""
_HD = 2
_PERIOD = 20
"""Milliseconds of a packet of sound."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a webhook says of a stream."""

    uuid: str
    """Of the meeting, webinar, session or engagement."""
    id: str
    """`rtms_stream_id`."""
    url: str
    """Of the signalling server."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of the app in Zoom's marketplace."""

    client_id: str
    client_secret: str

    def sign(self, stream: Stream) -> str:
        """Return the signature of both handshakes."""
        words = f"{self.client_id},{stream.uuid},{stream.id}"
        return hmac.new(self.client_secret.encode(), words.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    codec: str = "l16"
    """One of CODECS."""
    pictures: str = ""
    """One of PICTURES; empty asks for none."""
    fps: int = 5
    """Pictures a second; Zoom takes at most 5 as JPEG."""

    @property
    def media(self) -> tuple[str, ...]:
        """What there is a connection for."""
        return ("audio", "video") if self.pictures else ("audio",)


def signalling_request(credentials: Credentials, stream: Stream) -> str:
    """The first message on the signalling connection."""
    return _text(Kind.SIGNALLING_REQUEST, **_proof(credentials, stream), sequence=1)


def media_request(credentials: Credentials, stream: Stream, wanted: Wanted, kind: str) -> str:
    """The first message on a media connection: `audio` and `video` have one each."""
    params: dict[str, Any] = {
        "content_type": _RAW_AUDIO,
        "sample_rate": _RATE[wanted.codec],
        "channel": _MONO,
        "codec": CODECS[wanted.codec],
        "data_opt": _EACH,
        "send_rate": _PERIOD,
    }
    if kind == "video":
        params = {
            "content_type": _RAW_VIDEO,
            "codec": PICTURES[wanted.pictures],
            "resolution": _HD,
            "data_opt": _ACTIVE_SPEAKER,
            "fps": wanted.fps,
        }
    return _text(
        Kind.MEDIA_REQUEST,
        **_proof(credentials, stream),
        sequence=1,
        media_type=MEDIA[kind],
        payload_encryption=False,
        media_params={kind: params},
    )


def ready(stream: Stream) -> str:
    """On the signalling connection: media may flow."""
    return _text(Kind.READY, rtms_stream_id=stream.id)


def subscribe() -> str:
    """On the signalling connection: who comes and goes."""
    wanted = (Event.PARTICIPANT_JOIN, Event.PARTICIPANT_LEAVE, Event.MEDIA_INTERRUPTED)
    events = [{"event_type": int(event), "subscribe": True} for event in wanted]
    return _text(Kind.SUBSCRIBE, events=events)


def kept_alive(asked: dict[str, Any]) -> str:
    """The answer to a keep-alive, on the connection that it came by."""
    repeated = {key: asked[key] for key in ("sequence", "timestamp") if key in asked}
    return _text(Kind.KEEP_ALIVE_ANSWER, **repeated)


def _proof(credentials: Credentials, stream: Stream) -> dict[str, Any]:
    return {
        "protocol_version": 1,
        "meeting_uuid": stream.uuid,
        "rtms_stream_id": stream.id,
        "signature": credentials.sign(stream),
    }


def _text(kind: Kind, **fields: Any) -> str:
    return json.dumps({"msg_type": int(kind), **fields})
