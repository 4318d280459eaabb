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

from monitor.ingest.codecs.formats import read_format
from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony import binary_media, json_media
from monitor.ingest.telephony.audiohook import AudioHookParser
from monitor.ingest.telephony.audiosocket import AudioSocketParser
from monitor.ingest.telephony.dialect import (
    Begin,
    Chunk,
    Early,
    Ended,
    Message,
    Parser,
    Paused,
    Reply,
    Resumed,
    TelephonyError,
    unpack,
)

SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
SILENCE = base64.b64encode(b"\xff" * 160).decode()


def hum(count: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """A tone as speech has: steps from sample to sample are small against its level."""
    wave: np.ndarray[tuple[int], np.dtype[np.int16]] = 9000 * np.sin(np.arange(count) * 0.11)
    return wave.astype(np.int16)


def json_parser(dialect: str) -> Callable[..., list[Message]]:
    parser = json_media.JsonParser(json_media.DIALECTS[dialect])
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
        Begin("v2:T02ll", ())
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
    ("change", "field"),
    [
        ({"mediaFormat": {"encoding": "speex"}}, "start.mediaFormat.encoding"),
        (
            {"mediaFormat": {"encoding": "audio/x-mulaw", "channels": 5}},
            "start.mediaFormat.channels",
        ),
    ],
)
def test_only_what_cannot_be_decoded_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(TelephonyError) as caught:
        json_parser("twilio")(twilio_start(**change))
    assert (caught.value.field, caught.value.code) == (field, 1003)


@pytest.mark.parametrize(
    ("messages", "field", "rest"),
    [
        ([twilio_start(), twilio_start()], "event", []),
        ([twilio_start(tracks=["sideways"])], "start.tracks", [Begin("CA0000", ())]),
        ([twilio_start(callSid=["?"])], "start.callSid", [Begin("", ("remote",))]),
        ([twilio_start(mediaFormat="?")], "start.mediaFormat", [Begin("CA0000", ("remote",))]),
        (
            [twilio_start(mediaFormat={"encoding": "PCMU", "sampleRate": "x"})],
            "start.mediaFormat.sampleRate",
            [Begin("CA0000", ("remote",))],
        ),
        ([twilio_start(), twilio_media("***", track="inbound")], "media.payload", []),
        ([twilio_start(), {"event": "media"}], "media", []),
        ([{"event": 7}], "event", []),
        ([{"event": "hologram"}], "event", []),
        ([{"event": "error", "payload": {"code": 100003}}], "event", []),
    ],
)
def test_what_cannot_be_used_is_named_and_the_rest_is_used(
    messages: list[Any], field: str, rest: list[Message]
) -> None:
    say = json_parser("twilio")
    *before, last = messages
    for message in before:
        say(message)
    odd, *others = say(last)
    assert isinstance(odd, Anomaly)
    assert odd.field == field
    assert others == rest


@pytest.mark.parametrize("stamp", ["NaN", "-1", [], None, ""])
def test_sound_with_a_broken_timestamp_is_heard(stamp: object) -> None:
    say = json_parser("twilio")
    say(twilio_start())
    *_, chunk = say(twilio_media(track="inbound", timestamp=stamp))
    assert isinstance(chunk, Chunk)
    assert (len(chunk.samples), chunk.time) == (160, None)


def test_sound_before_start_is_to_be_handed_in_again() -> None:
    say = json_parser("twilio")
    assert say(twilio_media()) == [Early()]
    say(twilio_start(tracks=["inbound", "outbound"]))
    (chunk,) = say(twilio_media())
    assert isinstance(chunk, Chunk)


def test_a_second_start_may_change_the_format() -> None:
    say = json_parser("plivo")
    for encoding, rate in (("audio/x-mulaw", 8000), ("audio/x-l16", 16_000)):
        say(
            {
                "event": "start",
                "start": {
                    "callId": "c",
                    "mediaFormat": {"encoding": encoding, "sampleRate": rate},
                },
            }
        )
    *_, chunk = say({"event": "media", "media": {"track": "inbound", "payload": "AAAB"}})
    assert isinstance(chunk, Chunk)
    assert (len(chunk.samples), chunk.rate) == (1, 16_000)


@pytest.mark.parametrize(
    ("tracks", "heard"),
    [
        (["inbound", "outbound"], ["remote", "agent"]),
        (["Inbound_Track", "OUTBOUND_TRACK"], ["remote", "agent"]),
        (["outbound_track"], ["agent"]),
        ([None], ["remote"]),
        (["both_tracks"], ["remote"]),
        (["mixed"], ["remote"]),
        ([["inbound"]], ["remote"]),
        (["inbound", "third"], ["remote"]),
    ],
)
def test_whoever_is_heard_counts_where_nobody_was_announced(
    tracks: list[Any], heard: list[str]
) -> None:
    """Telnyx names no tracks in `start` (its documentation of media streaming, 2026)."""
    say = json_parser("telnyx")
    assert say({"event": "start", "start": {"media_format": {"encoding": "PCMU"}}}) == [
        Begin("", ())
    ]
    found = [
        m
        for t in tracks
        for m in say({"event": "media", "media": {"track": t, "payload": SILENCE}})
    ]
    assert [m.participant for m in found if isinstance(m, Chunk)] == heard
    odd = [m for m in found if isinstance(m, Anomaly)]
    assert bool(odd) == (tracks[-1] in ("both_tracks", "mixed", "third"))
    assert all(m.kind is AnomalyKind.TRACK for m in odd)


@pytest.mark.parametrize(
    "tracks", ["both_tracks", "inbound,outbound", ["both"], ["outbound", "inbound"]]
)
def test_tracks_may_be_announced_in_any_words(tracks: object) -> None:
    (begin,) = json_parser("twilio")(twilio_start(tracks=tracks))
    assert isinstance(begin, Begin)
    assert set(begin.participants) == {"remote", "agent"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("audio/x-mulaw", (Codec.MULAW, None)),
        ("audio/x-mulaw;rate=8000", (Codec.MULAW, 8_000)),
        ("PCMU", (Codec.MULAW, None)),
        ("G711_ulaw", (Codec.MULAW, None)),
        ("audio/PCMA", (Codec.ALAW, None)),
        ("audio/x-alaw", (Codec.ALAW, None)),
        ("audio/l16; rate=24000", (Codec.L16, 24_000)),
        ("audio/L16;channels=1;rate=16000", (Codec.L16, 16_000)),
        ("L16/16000", (Codec.L16, 16_000)),
        ("slin", (Codec.L16, 8_000)),
        ("slin12", (Codec.L16, 12_000)),
        ("SLIN44", (Codec.L16, 44_100)),
        ("slin192", (Codec.L16, 192_000)),
        ("linear16", (Codec.L16, None)),
        ("opus", None),
        ("audio/g722", None),
        ("", None),
    ],
)
def test_formats_by_any_of_their_names(name: str, wanted: object) -> None:
    assert read_format(name) == wanted


@pytest.mark.parametrize("payload", ["AAEC/w==", "AAEC/w", "AAEC_w", " AAEC\r\n/w== "])
def test_base64_with_and_without_its_padding(payload: str) -> None:
    assert unpack(payload, "x") == b"\x00\x01\x02\xff"


def binary(dialect: str, **query: str) -> binary_media.BinaryParser:
    return binary_media.BinaryParser(binary_media.DIALECTS[dialect], query)


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
    """A forked channel that is on hold sends no frame: the call begins with the connection."""
    parser = binary("freeswitch", rate="16000", mix="stereo", channels="agent,remote")
    assert list(parser.opening()) == [Begin("", ("agent", "remote"))]
    left, right = parser.binary(bytes(1280))
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
        ("asterisk", "MEDIA_START connection_id:x format:g729", "format"),
    ],
)
def test_a_codec_that_is_not_decoded_is_named(dialect: str, text: str, field: str) -> None:
    with pytest.raises(TelephonyError) as caught:
        list(binary(dialect).text(text))
    assert (caught.value.field, caught.value.code) == (field, 1003)


@pytest.mark.parametrize(
    ("dialect", "text", "field", "rate"),
    [
        ("jambonz", '{"sampleRate": 44100}', None, 44_100),
        ("jambonz", '{"sampleRate": "x"}', "sampleRate", 8_000),
        ("jambonz", '{"sampleRate": 16000, "mixType": "quadraphonic"}', "mixType", 16_000),
        ("vonage", '{"event": "websocket:connected"}', "content-type", 16_000),
        ("vonage", '{"content-type": "audio/l16;rate=8000"}', None, 8_000),
        ("vonage", '{"event": "websocket:connected", "content-type": "audio/l16"}', None, 16_000),
        (
            "vonage",
            '{"event": "websocket:connected", "content-type": "audio/l16;rate=24000",'
            ' "call_uuid": {"a": 1}}',
            "call_uuid",
            24_000,
        ),
        ("asterisk", "MEDIA_START channel:c", "format", 8_000),
        ("asterisk", "MEDIA_START channel:c format:slin24", None, 24_000),
    ],
)
def test_a_description_with_holes_is_used(
    dialect: str, text: str, field: str | None, rate: int
) -> None:
    parser = binary(dialect)
    found = list(parser.text(text))
    assert isinstance(found[-1], Begin)
    assert [m.field for m in found if isinstance(m, Anomaly)] == ([field] if field else [])
    (chunk,) = parser.binary(bytes(640))
    assert isinstance(chunk, Chunk)
    assert chunk.rate == rate


@pytest.mark.parametrize("dialect", ["vonage", "jambonz", "asterisk"])
def test_sound_before_its_description_waits_and_nonsense_is_passed_over(dialect: str) -> None:
    """Asterisk 22 with chan_websocket: up to a second of sound before MEDIA_START, by report."""
    parser = binary(dialect)
    assert list(parser.binary(bytes(640))) == [Early()]
    for nonsense in ("nonsense", "{", "[1]", '{"event": {}}'):
        assert all(isinstance(m, Anomaly) for m in parser.text(nonsense))
    assert list(parser.text("  ")) == []
    begun = {
        "vonage": '{"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}',
        "jambonz": '{"callSid": "c", "sampleRate": 8000}',
        "asterisk": "MEDIA_START channel:c format:ulaw",
    }[dialect]
    assert any(isinstance(m, Begin) for m in parser.text(begun))
    assert any(isinstance(m, Chunk) for m in parser.binary(bytes(640)))
    assert all(isinstance(m, Anomaly) for m in parser.text(begun))


@pytest.mark.parametrize(
    "query", [{"rate": "x"}, {"rate": "7"}, {"mix": "?"}, {"channels": "boss"}]
)
def test_wrong_query_is_named(query: dict[str, str]) -> None:
    with pytest.raises(TelephonyError, match=f"[?]{next(iter(query))}"):
        binary("freeswitch", **query)


def test_channels_that_do_not_fit_the_stream_are_said() -> None:
    odd, begin = binary("freeswitch", mix="stereo", channels="agent").opening()
    assert isinstance(odd, Anomaly)
    assert begin == Begin("", ("remote", "agent"))
    _, begin = binary("freeswitch", channels="agent,remote").opening()
    assert begin == Begin("", ("agent",))


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
    assert (first.lost, second.lost) == (0.0, 1.5)
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
        ({"seq": "x"}, "seq"),
        ({"serverseq": 99}, "serverseq"),
        ({"parameters": "none"}, "parameters"),
    ],
)
def test_audiohook_answers_what_is_out_of_step(change: dict[str, Any], field: str) -> None:
    client = AudioHookClient()
    client.open()
    (odd,) = client.say("ping", **change)
    assert isinstance(odd, Anomaly)
    assert odd.field == field
    assert client.heard[-1]["type"] == "pong"
    client.sent = client.heard[-1]["clientseq"]
    assert client.say("ping") == []
    goodbye = client.parser.farewell("wrong")
    assert goodbye is not None
    assert json.loads(goodbye)["parameters"]["reason"] == "error"


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("open", {}, "type"),
        ("discarded", {"discarded": "1 s"}, "parameters.discarded"),
        ("hologram", {}, "type"),
        ("error", {"code": 400}, "type"),
    ],
)
def test_audiohook_passes_over_what_it_cannot_use(
    kind: str, parameters: dict[str, Any], field: str
) -> None:
    client = AudioHookClient()
    client.open()
    (odd,) = client.say(kind, parameters)
    assert isinstance(odd, Anomaly)
    assert odd.field == field
    (chunk,) = client.parser.binary(bytes(1600))
    assert isinstance(chunk, Chunk)


def test_audiohook_another_version_is_refused_when_it_opens() -> None:
    with pytest.raises(TelephonyError, match="version"):
        AudioHookClient().say("open", {"organizationId": ORGANIZATION}, version="3")


def test_audiohook_takes_linear_samples_where_there_is_nothing_else() -> None:
    """The documentation does not say in which order their bytes come; the sound does."""
    client = AudioHookClient()
    offers = [
        {"type": "audio", "format": "OPUS", "channels": ["external"], "rate": 48_000},
        {"type": "audio", "format": "L16", "channels": ["external"], "rate": 16_000},
        {"type": "audio", "format": ["?"], "channels": ["external"]},
        "?",
    ]
    opening = {"organizationId": ORGANIZATION, "conversationId": "c", "media": offers}
    assert client.say("open", opening) == [Begin("c", ("remote",))]
    wave = hum(1600)
    odd, chunk = client.parser.binary(wave.astype(">i2").tobytes())
    assert isinstance(odd, Anomaly)
    assert isinstance(chunk, Chunk)
    assert np.array_equal(chunk.samples, wave)
    assert chunk.rate == 16_000


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
    for kind, rate in enumerate(
        (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000), 0x10
    ):
        (chunk,) = parser.binary(audiosocket(kind, bytes(rate // 25)))
        assert isinstance(chunk, Chunk)
        assert (chunk.rate, chunk.duration) == (rate, 0.02)
    assert list(parser.binary(audiosocket(0x03, b"5"))) == []
    assert list(parser.binary(audiosocket(0x02))) == []
    for odd in (
        audiosocket(0x42, b"?"),
        audiosocket(0xFF, b"\1"),
        audiosocket(0x01, bytes(16)),
        b"x",
    ):
        (found,) = parser.binary(odd)
        assert isinstance(found, Anomaly)
    assert list(parser.binary(audiosocket(0x00))) == [Ended()]


def test_audiosocket_without_its_uuid_is_a_call_without_a_name() -> None:
    odd, begin, chunk = AudioSocketParser().binary(audiosocket(0x10, bytes(320)))
    assert isinstance(odd, Anomaly)
    assert begin == Begin("", ("remote",))
    assert isinstance(chunk, Chunk)
    _, begin = AudioSocketParser().binary(audiosocket(0x01, b"a name"))
    assert begin == Begin("a name", ("remote",))


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
    | st.builds(
        audiosocket, st.sampled_from([0, 1, 3, 0x10, 0x12, 0x77, 0xFF]), st.binary(max_size=20)
    ),
    max_size=8,
)


def every_parser() -> Iterator[Parser]:
    yield from (json_media.JsonParser(d) for d in json_media.DIALECTS.values())
    yield from (binary_media.BinaryParser(d, {}) for d in binary_media.DIALECTS.values())
    yield AudioHookParser(ORGANIZATION, SESSION, frozenset({"remote"}))
    yield AudioSocketParser()


@given(MESSAGES)
def test_no_parser_raises_anything_but_its_own_error(messages: list[str | bytes]) -> None:
    for parser in every_parser():
        for message in messages:
            with suppress(TelephonyError):
                list(parser.text(message) if isinstance(message, str) else parser.binary(message))
