"""Each telephony dialect against messages as its vendor documents them."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest import l16, twilio
from monitor.ingest.audiohook import AudioHookParser
from monitor.ingest.audiosocket import AudioSocketParser
from monitor.ingest.dialect import (
    Begin,
    Chunk,
    Ended,
    Message,
    Parser,
    Paused,
    Reply,
    Resumed,
    TelephonyError,
    Unknown,
)

SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
SILENCE = base64.b64encode(b"\xff" * 160).decode()


def json_parser(dialect: str) -> Callable[..., list[Message]]:
    parser = twilio.JsonParser(twilio.DIALECTS[dialect])
    return lambda message: list(parser.text(json.dumps(message)))


def twilio_start(**start: Any) -> dict[str, Any]:
    """The example in Twilio's documentation."""
    return {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "AC0000",
            "streamSid": "MZ0000",
            "callSid": "CA0000",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"FirstName": "Jane"},
            **start,
        },
        "streamSid": "MZ0000",
    }


def twilio_media(payload: str = SILENCE, **media: Any) -> dict[str, Any]:
    default = {"track": "outbound", "chunk": "1", "timestamp": "5", "payload": payload}
    return {"event": "media", "sequenceNumber": "4", "media": default | media}


def test_twilio_both_tracks() -> None:
    say = json_parser("twilio")
    assert say({"event": "connected", "protocol": "Call", "version": "1.0.0"}) == []
    assert say(twilio_start(tracks=["inbound", "outbound"])) == [
        Begin("CA0000", ("remote", "agent"))
    ]
    (chunk,) = say(twilio_media())
    assert isinstance(chunk, Chunk)
    assert (chunk.participant, chunk.rate, chunk.time) == ("agent", 8000, 0.005)
    assert len(chunk.samples) == 160
    assert not chunk.samples.any()
    assert say({"event": "mark", "mark": {"name": "x"}}) == []
    assert say({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "1"}}) == []
    assert say({"event": "stop", "stop": {"callSid": "CA0000"}}) == [Ended()]


def test_telnyx_in_its_own_words() -> None:
    say = json_parser("telnyx")
    assert say({"event": "connected", "version": "1.0.0"}) == []
    start = {
        "call_control_id": "v2:T02ll",
        "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
    }
    assert say({"event": "start", "sequence_number": "1", "start": start}) == [
        Begin("v2:T02ll", ("remote",))
    ]
    media = {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": "1dXV"}
    (chunk,) = say({"event": "media", "sequence_number": "4", "media": media})
    assert isinstance(chunk, Chunk)
    assert chunk.samples.tolist() == [8, 8, 8]


def test_plivo_in_its_own_words() -> None:
    say = json_parser("plivo")
    start = {
        "callId": "a5b0",
        "streamId": "b77e",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
    }
    assert say({"event": "start", "sequenceNumber": 0, "start": start, "extra_headers": "{}"}) == [
        Begin("a5b0", ("remote",))
    ]
    payload = base64.b64encode(np.array([1, -2], "<i2").tobytes()).decode()
    media = {"track": "inbound", "timestamp": 1676883120000, "chunk": 1, "payload": payload}
    (chunk,) = say({"event": "media", "media": media})
    assert isinstance(chunk, Chunk)
    assert (chunk.samples.tolist(), chunk.rate) == ([1, -2], 16000)


@pytest.mark.parametrize(
    ("messages", "field", "code"),
    [
        ([twilio_media()], "event", 1008),
        ([twilio_start(), twilio_start()], "event", 1008),
        ([twilio_start(mediaFormat={"encoding": "opus"})], "start.mediaFormat.encoding", 1003),
        (
            [twilio_start(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 11025})],
            "start.mediaFormat.sampleRate",
            1003,
        ),
        ([twilio_start(mediaFormat="?")], "mediaFormat", 1007),
        ([twilio_start(tracks=["sideways"])], "start.tracks", 1007),
        ([twilio_start(), twilio_media("***")], "media.payload", 1007),
        ([twilio_start(), twilio_media(timestamp="NaN")], "media.timestamp", 1007),
        ([twilio_start(), twilio_media(timestamp="-1")], "media.timestamp", 1007),
        ([twilio_start(), twilio_media(track=["inbound"])], "media.track", 1007),
        ([twilio_start(), {"event": "media"}], "media", 1007),
        ([{"event": 7}], "event", 1007),
    ],
)
def test_what_is_wrong_is_named(messages: list[Any], field: str, code: int) -> None:
    say = json_parser("twilio")
    *before, last = messages
    for message in before:
        say(message)
    with pytest.raises(TelephonyError) as caught:
        say(last)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_a_new_event_does_not_end_a_call() -> None:
    assert json_parser("twilio")({"event": "hologram"}) == [Unknown("hologram")]


def binary(dialect: str, **query: str) -> l16.BinaryParser:
    return l16.BinaryParser(l16.DIALECTS[dialect], query)


def test_vonage_names_its_rate() -> None:
    parser = binary("vonage")
    opening = {
        "event": "websocket:connected",
        "content-type": "audio/l16;rate=16000",
        "prop1": "value1",
    }
    assert list(parser.text(json.dumps(opening))) == [Begin("", ("remote",))]
    (chunk,) = parser.binary(bytes(640))
    assert isinstance(chunk, Chunk)
    assert (chunk.rate, chunk.duration, chunk.time) == (16000, 0.02, None)
    assert list(parser.text('{"event": "websocket:dtmf", "digit": "5"}')) == []


def test_jambonz_stereo() -> None:
    parser = binary("jambonz")
    metadata = {"callSid": "9fb3", "sampleRate": 8000, "mixType": "stereo", "direction": "inbound"}
    assert list(parser.text(json.dumps(metadata))) == [Begin("9fb3", ("remote", "agent"))]
    left, right = parser.binary(np.array([1, 2, 3, 4], "<i2").tobytes())
    assert isinstance(left, Chunk)
    assert isinstance(right, Chunk)
    assert (left.participant, left.samples.tolist()) == ("remote", [1, 3])
    assert (right.participant, right.samples.tolist()) == ("agent", [2, 4])


def test_freeswitch_describes_itself_in_the_url() -> None:
    parser = binary("freeswitch", rate="16000", mix="stereo", channels="agent,remote")
    begin, left, right = parser.binary(bytes(1280))
    assert begin == Begin("", ("agent", "remote"))
    assert isinstance(left, Chunk)
    assert isinstance(right, Chunk)
    assert (left.participant, left.rate, left.duration) == ("agent", 16000, 0.02)
    assert list(parser.text("whatever the dialplan says")) == []


@pytest.mark.parametrize(
    "opening",
    [
        "MEDIA_START connection_id:media_connection1 channel:WebSocket/media_connection1/0x5140 "
        "format:ulaw optimal_frame_size:160 ptime:20",
        json.dumps(
            {
                "event": "MEDIA_START",
                "connection_id": "media_connection1",
                "channel": "WebSocket/media_connection1/0x5140",
                "channel_id": "1761245643.1",
                "format": "ulaw",
                "optimal_frame_size": 160,
                "ptime": 20,
                "channel_variables": {"DIALEDPEERNUMBER": "media_connection1/c(ulaw)"},
            }
        ),
    ],
)
def test_asterisk_in_text_and_json(opening: str) -> None:
    parser = binary("asterisk", channels="agent")
    assert list(parser.text(opening)) == [Begin("WebSocket/media_connection1/0x5140", ("agent",))]
    (chunk,) = parser.binary(b"\xff" * 160)
    assert isinstance(chunk, Chunk)
    assert (chunk.rate, chunk.duration) == (8000, 0.02)
    assert list(parser.text("DTMF_END digit:1")) == []
    assert list(parser.text("HANGUP")) == [Ended()]


@pytest.mark.parametrize(
    ("dialect", "text", "field"),
    [
        (
            "vonage",
            '{"event": "websocket:connected", "content-type": "audio/opus"}',
            "content-type",
        ),
        ("jambonz", '{"sampleRate": 44100}', "sampleRate"),
        ("jambonz", '{"mixType": "quadraphonic"}', "mixType"),
        ("jambonz", "nonsense", "message"),
        ("asterisk", "MEDIA_START connection_id:x format:g729", "format"),
    ],
)
def test_wrong_metadata_is_named(dialect: str, text: str, field: str) -> None:
    with pytest.raises(TelephonyError) as caught:
        list(binary(dialect).text(text))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "query", [{"rate": "x"}, {"rate": "44100"}, {"mix": "?"}, {"channels": "boss"}]
)
def test_wrong_query_is_named(query: dict[str, str]) -> None:
    with pytest.raises(TelephonyError, match=f"[?]{next(iter(query))}"):
        binary("freeswitch", **query)


def test_media_before_its_description_and_half_samples() -> None:
    with pytest.raises(TelephonyError, match="before websocket:connected"):
        list(binary("vonage").binary(bytes(640)))
    with pytest.raises(TelephonyError, match="not whole samples"):
        list(binary("freeswitch").binary(bytes(3)))


class AudioHookClient:
    """Numbers messages as Genesys does."""

    def __init__(self, *participants: str) -> None:
        self.parser = AudioHookParser(ORGANIZATION, SESSION, frozenset(participants or ["remote"]))
        self.sent = 0
        self.heard: list[dict[str, Any]] = []

    def say(
        self, kind: str, parameters: dict[str, Any] | None = None, **change: Any
    ) -> list[Message]:
        self.sent += 1
        message = {
            "version": "2",
            "id": SESSION,
            "type": kind,
            "seq": self.sent,
            "serverseq": len(self.heard),
            "position": "PT0S",
            "parameters": parameters or {},
        }
        read = list(self.parser.text(json.dumps(message | change)))
        self.heard += [json.loads(m.text) for m in read if isinstance(m, Reply)]
        return [m for m in read if not isinstance(m, Reply)]

    def open(self, conversation: str = "090eaa2f-72fa-480a-83e0-8667ff89c0ec") -> list[Message]:
        channels = [["external", "internal"], ["external"], ["internal"]]
        return self.say(
            "open",
            {
                "organizationId": ORGANIZATION,
                "conversationId": conversation,
                "participant": {"id": SESSION, "ani": "", "aniName": "", "dnis": ""},
                "media": [
                    {"type": "audio", "format": "PCMU", "channels": c, "rate": 8000}
                    for c in channels
                ],
            },
        )


def test_audiohook_takes_no_more_than_it_scores() -> None:
    client = AudioHookClient()
    assert client.open() == [Begin("090eaa2f-72fa-480a-83e0-8667ff89c0ec", ("remote",))]
    opened = client.heard[-1]
    assert opened["parameters"]["media"][0]["channels"] == ["external"]
    assert (opened["type"], opened["seq"], opened["clientseq"]) == ("opened", 1, 1)
    both = AudioHookClient("remote", "agent")
    assert both.open()[0] == Begin("090eaa2f-72fa-480a-83e0-8667ff89c0ec", ("remote", "agent"))
    external, internal = both.parser.binary(bytes([0xFF, 0x00] * 800))
    assert isinstance(external, Chunk)
    assert isinstance(internal, Chunk)
    assert not external.samples.any()
    assert set(internal.samples.tolist()) == {-32124}


def test_audiohook_from_open_to_closed() -> None:
    client = AudioHookClient()
    client.open()
    (first,) = client.parser.binary(bytes(1600))
    assert client.say("ping", {"rtt": "PT0.2S"}) == []
    assert (client.heard[-1]["type"], client.heard[-1]["clientseq"]) == ("pong", 2)
    assert client.say("paused") == [Paused()]
    assert client.say("resumed", {"start": "PT0.2S", "discarded": "PT4S"}) == [Resumed()]
    assert client.say("discarded", {"start": "PT0.2S", "discarded": "PT1.5S"}) == []
    (second,) = client.parser.binary(bytes(1600))
    assert isinstance(first, Chunk)
    assert isinstance(second, Chunk)
    assert (first.time, second.time) == (0.0, 1.7)
    assert client.say("update", {"language": "en-US"}) == []
    assert client.say("close", {"reason": "end"}) == [Ended()]
    assert client.heard[-1]["type"] == "closed"
    assert client.parser.farewell(None) is None


def test_audiohook_probe_begins_no_call() -> None:
    client = AudioHookClient()
    assert client.open("00000000-0000-0000-0000-000000000000") == []
    assert client.heard[-1]["parameters"]["media"] == []
    assert client.say("close", {"reason": "end"}) == [Ended()]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": "3"}, "version"),
        ({"id": "somebody else"}, "id"),
        ({"seq": 7}, "seq"),
        ({"serverseq": 99}, "serverseq"),
        ({"parameters": "none"}, "parameters"),
        ({"type": "open"}, "type"),
        ({"type": "discarded", "parameters": {"discarded": "1 s"}}, "parameters.discarded"),
    ],
)
def test_audiohook_names_what_is_wrong(change: dict[str, Any], field: str) -> None:
    client = AudioHookClient()
    client.open()
    with pytest.raises(TelephonyError) as caught:
        client.say("ping", **change)
    assert caught.value.field == field
    goodbye = client.parser.farewell(str(caught.value))
    assert goodbye is not None
    assert json.loads(goodbye)["parameters"]["reason"] == "error"


def test_audiohook_organization_must_be_the_one_that_signed() -> None:
    client = AudioHookClient()
    with pytest.raises(TelephonyError, match="organizationId"):
        client.say("open", {"organizationId": SESSION, "conversationId": "x", "media": []})


def audiosocket(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


def test_audiosocket() -> None:
    parser = AudioSocketParser()
    (begin,) = parser.binary(audiosocket(0x01, bytes(range(16))))
    assert begin == Begin("00010203-0405-0607-0809-0a0b0c0d0e0f", ("remote",))
    (chunk,) = parser.binary(audiosocket(0x10, bytes(320)))
    assert isinstance(chunk, Chunk)
    assert (chunk.rate, chunk.duration) == (8000, 0.02)
    (wide,) = parser.binary(audiosocket(0x12, bytes(640)))
    assert isinstance(wide, Chunk)
    assert (wide.rate, wide.duration) == (16000, 0.02)
    assert list(parser.binary(audiosocket(0x03, b"5"))) == []
    assert list(parser.binary(audiosocket(0x00))) == [Ended()]
    with pytest.raises(TelephonyError, match="uuid"):
        list(parser.binary(audiosocket(0x01, bytes(16))))
    with pytest.raises(TelephonyError, match="before the UUID"):
        list(AudioSocketParser().binary(audiosocket(0x10, bytes(320))))


EVENTS = ["start", "media", "stop", "connected", "open", "paused", "MEDIA_START", "?"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*EVENTS, "audio/x-mulaw", "PCMU", "inbound", SILENCE, SESSION]),
    lambda v: st.lists(v, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["event", "start", "media", "tracks", "mediaFormat", "media_format", "encoding"]
            + ["payload", "timestamp", "track", "type", "parameters", "format", "content-type"]
            + ["channels", "rate", "sampleRate", "mixType", "organizationId", "discarded"]
        ),
        v,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
MESSAGES = st.lists(
    st.text(max_size=20)
    | st.binary(max_size=40)
    | VALUES.map(json.dumps)
    | st.just("[" * 60_000)
    | st.builds(
        lambda kind, n, p: json.dumps(
            {"version": "2", "id": SESSION, "type": kind, "seq": n, "parameters": p}
        ),
        st.sampled_from([*EVENTS, "ping", "resumed", "discarded", "close"]),
        st.integers(0, 4),
        st.fixed_dictionaries(
            {}, optional={"organizationId": st.just(ORGANIZATION), "media": VALUES}
        ),
    )
    | st.builds(audiosocket, st.sampled_from([0, 1, 3, 0x10, 0x12, 0xFF]), st.binary(max_size=20)),
    max_size=8,
)


def every_parser() -> Iterator[Parser]:
    yield from (twilio.JsonParser(d) for d in twilio.DIALECTS.values())
    yield from (l16.BinaryParser(d, {}) for d in l16.DIALECTS.values())
    yield AudioHookParser(ORGANIZATION, SESSION, frozenset({"remote"}))
    yield AudioSocketParser()


@given(MESSAGES)
def test_no_parser_raises_anything_but_its_own_error(messages: list[str | bytes]) -> None:
    for parser in every_parser():
        for message in messages:
            with suppress(TelephonyError):
                list(parser.text(message) if isinstance(message, str) else parser.binary(message))
