"""What meeting platforms say, message by message."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from monitor.ingest.connection.anomaly import Anomaly
from monitor.ingest.meetings.jitsi import JitsiParser
from monitor.ingest.meetings.json_meeting import DIALECTS, MeetingParser
from monitor.ingest.telephony.binary_media import DIALECTS as BINARY
from monitor.ingest.telephony.binary_media import BinaryParser
from monitor.ingest.telephony.dialect import (
    Begin,
    Chunk,
    Ended,
    Left,
    Message,
    Packet,
    Parser,
    Paused,
    Picture,
    Reply,
    Resumed,
    TelephonyError,
)
from monitor.ingest.telephony.interleave import paired

TONE = (8000 * np.sin(np.arange(320) / 3)).astype("<i2")
SOUND = base64.b64encode(TONE.tobytes()).decode()


def said(parser: Parser, *messages: Any) -> list[Message]:
    def all_() -> Iterator[Message]:
        yield from parser.opening()
        for message in messages:
            yield from parser.text(json.dumps(message))

    return list(all_())


def attendee(trigger: str, **data: Any) -> dict[str, Any]:
    return {"bot_id": "bot_1", "trigger": trigger, "data": data}


def recall(event: str, **data: Any) -> dict[str, Any]:
    return {"event": event, "data": {"data": data, "bot": {"id": "b"}, "recording": {"id": "r"}}}


def test_attendee() -> None:
    parser = MeetingParser(DIALECTS["attendee"])
    one, two = {"participant_uuid": "p-1"}, {"participant_uuid": "p-2"}
    found = said(
        parser,
        attendee("realtime_audio.per_participant", chunk=SOUND, sample_rate=8000,
                 timestamp_ms=1_700_000_000_020, **one),
        attendee("realtime_audio.per_participant", chunk=SOUND, sample_rate=16000, **two),
        attendee("realtime_video.per_participant", frame="/9j/", format="jpeg", source="webcam",
                 **one),
        attendee("realtime_video.per_participant", frame="/9j/", format="jpeg",
                 source="screenshare", **one),
        attendee("something.new"),
    )  # fmt: skip
    assert found[0] == Begin("", (), meeting=True)
    first, second, picture, odd = found[1:]
    assert isinstance(first, Chunk)
    assert isinstance(second, Chunk)
    assert (first.participant, first.rate, first.time) == ("p-1", 8000, 1_700_000_000.02)
    assert (second.participant, second.rate, second.time) == ("p-2", 16000, None)
    assert np.array_equal(first.samples, TONE)
    assert picture == Picture("p-1", "mjpeg", b"\xff\xd8\xff", None)
    assert isinstance(odd, Anomaly)


def test_recall() -> None:
    parser = MeetingParser(DIALECTS["recall"])
    ann = {"id": 7, "name": "Ann", "is_host": True}
    stamp = {"relative": 12.5, "absolute": "2026-11-30T10:00:00.5Z"}
    found = said(
        parser,
        recall("participant_events.join", participant=ann),
        recall("audio_separate_raw.data", buffer=SOUND, timestamp=stamp, participant=ann),
        recall("video_separate_png.data", buffer="iVBORw==", timestamp=stamp, participant=ann,
               type="webcam"),
        recall("audio_mixed_raw.data", buffer=SOUND, timestamp=stamp),
        recall("participant_events.leave", participant=ann),
        recall("participant_events.leave", participant={"id": 9, "name": "was never heard"}),
    )  # fmt: skip
    _, chunk, picture, odd, mixed, left = found
    assert isinstance(chunk, Chunk)
    assert (chunk.participant, chunk.rate, chunk.time) == ("Ann", 16000, 12.5)
    assert picture == Picture("Ann", "png", b"\x89PNG", 12.5)
    assert isinstance(odd, Anomaly)
    assert isinstance(mixed, Chunk)
    assert mixed.participant == "unnamed"
    assert left == Left("Ann")


@pytest.mark.parametrize("big", [False, True])
def test_azure_in_letters_of_either_case(big: bool) -> None:
    parser = MeetingParser(DIALECTS["acs"])
    tell = {"subscriptionId": "x", "encoding": "PCM", "sampleRate": 24000, "channels": 1}
    data = {"timestamp": "2026-11-30T19:16:12.9251234Z", "participantRawID": "8:acs:a_b",
            "data": SOUND, "silent": False}  # fmt: skip
    first = {"kind": "AudioMetadata", "audioMetadata": tell}
    second = {"kind": "AudioData", "audioData": data}
    if big:
        first = {"Kind": "AudioMetadata", "AudioMetadata": tell}
        second = {
            "Kind": "AudioData",
            "AudioData": {k[0].upper() + k[1:]: v for k, v in data.items()},
        }
    _, chunk = said(parser, first, second)
    assert isinstance(chunk, Chunk)
    assert (chunk.participant, chunk.rate) == ("8-acs-a_b", 24000)
    assert chunk.time is not None
    assert chunk.time % 60 == pytest.approx(12.9251234, abs=1e-5)


def jitsi(tag: str, chunk: int, payload: bytes = b"\xf8\xff\xfe") -> dict[str, Any]:
    media = {"tag": tag, "chunk": str(chunk), "timestamp": str(960 * chunk),
             "payload": base64.b64encode(payload).decode()}  # fmt: skip
    return {"event": "media", "sequenceNumber": str(chunk + 5), "media": media}


def jitsi_start(tag: str, endpoint: str, encoding: str = "OPUS") -> dict[str, Any]:
    format_ = {"encoding": encoding, "sampleRate": 48000, "channels": 2}
    start = {"tag": tag, "mediaFormat": format_, "customParameters": {"endpointId": endpoint}}
    return {"event": "start", "sequenceNumber": "1", "start": start}


def test_jitsi() -> None:
    found = said(
        JitsiParser(),
        {"event": "info", "application": "jvb"},
        jitsi_start("abcd1234-99", "abcd1234"),
        jitsi("abcd1234-99", 70_000),
        {"event": "sources", "exports": [], "requests": []},
        {"event": "ping", "id": 17},
        jitsi("efgh5678-4", 1),
        jitsi_start("x-1", "x", "TELEPHONE-EVENT"),
        jitsi("x-1", 1),
        {"event": "session-end"},
    )
    _, packet, pong, odd, other, unheard, end = found
    assert isinstance(packet, Packet)
    assert (packet.participant, packet.codec, packet.number) == ("abcd1234", "opus", 70_000)
    assert packet.timestamp == 960 * 70_000
    assert pong == Reply('{"event": "pong", "id": 17}')
    assert isinstance(odd, Anomaly)
    assert isinstance(other, Packet)
    assert other.participant == "efgh5678"
    assert isinstance(unheard, Anomaly)
    assert end == Ended()


def test_livekit_is_one_person_in_one_channel_or_two() -> None:
    wide = np.repeat(TONE, 2).astype("<i2")
    for mix, sent in (("", TONE), ("", wide), ("joint", wide)):
        query = {"participant": "Ann <x>", **({"mix": mix} if mix else {})}
        parser = BinaryParser(BINARY["livekit"], query)
        (begin,) = parser.opening()
        assert begin == Begin("", ("Ann -x-",), meeting=True)
        chunks = [m for m in parser.binary(sent.tobytes()) if isinstance(m, Chunk)]
        (chunk,) = chunks
        assert (chunk.participant, chunk.rate) == ("Ann -x-", 48_000)
        assert np.array_equal(chunk.samples, TONE)
        assert chunk.wire is not None
        assert chunk.wire.own() == TONE.tobytes()
        assert [*parser.text('{"muted": true}')] == [Paused()]
        assert [*parser.text('{"muted": false}')] == [Resumed()]
        assert [*parser.text('{"other": 1}')] == []


def test_two_channels_are_told_by_their_sound_but_not_by_silence() -> None:
    rng = np.random.default_rng(0)
    voice = np.cumsum(rng.standard_normal(960)).astype("<i2") * 50
    assert paired(voice.tobytes()) is False
    assert paired(np.repeat(voice, 2).tobytes()) is True
    near = np.stack([voice, voice + rng.integers(-9, 9, 960)], 1).astype("<i2")
    assert paired(near.tobytes()) is True
    assert paired(bytes(3840)) is None
    assert paired(b"\x01\x00\x02") is None


@pytest.mark.parametrize(
    "message",
    [
        attendee("realtime_audio.per_participant", chunk="no base64!", participant_uuid="a"),
        attendee("realtime_audio.per_participant", chunk=SOUND, sample_rate=3),
        attendee("realtime_audio.per_participant", chunk=7),
        attendee("realtime_audio.per_participant", chunk=SOUND, participant_uuid=["a"]),
        {"trigger": "realtime_audio.mixed", "data": []},
        {"trigger": {}, "data": {}},
        {"trigger": "realtime_video.per_participant", "data": {"frame": None}},
    ],
)
def test_what_cannot_be_read_is_an_oddity_and_no_more(message: dict[str, Any]) -> None:
    found = said(MeetingParser(DIALECTS["attendee"]), message)[1:]
    assert found
    assert all(isinstance(each, Anomaly) for each in found)


def test_a_wrong_rate_in_the_url_is_named() -> None:
    with pytest.raises(TelephonyError, match=r"\?rate"):
        BinaryParser(BINARY["livekit"], {"rate": "7"})
