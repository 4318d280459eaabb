"""What hostile bytes are thrown at: every parser of what comes from outside, by name.

A target returns for whatever it may refuse and raises for what must never happen. Each has seeds,
as senders write them, from which the fuzzer and the property tests start.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from aiosipua import SipRequest, create_dialog_from_request

from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.codecs.layers import kept, picture
from monitor.ingest.codecs.video_codec import is_key_frame
from monitor.ingest.codecs.video_payload import picture_format
from monitor.ingest.connection.hosts import Hosts
from monitor.ingest.meetings import json_meeting
from monitor.ingest.meetings.jitsi import JitsiParser
from monitor.ingest.meetings.json_meeting import MeetingParser
from monitor.ingest.meetings.rtms_media import RtmsReader
from monitor.ingest.meetings.rtms_messages import Wanted
from monitor.ingest.recording.header import read_parts
from monitor.ingest.rtp.assembly import Assembly
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import FARTHEST, JitterBuffer, RtpPacket
from monitor.ingest.rtp.rtp_port import read_packet
from monitor.ingest.rtp.sdp import DescriptionError, read_description
from monitor.ingest.siprec.parties import voices
from monitor.ingest.siprec.recording_metadata import Metadata, MetadataError, read_metadata
from monitor.ingest.siprec.recording_offer import SdpError
from monitor.ingest.siprec.recording_offer import answer as take_offer
from monitor.ingest.siprec.recording_offer import read_offer as read_recording
from monitor.ingest.telephony import binary_media, json_media
from monitor.ingest.telephony.audiohook import AudioHookParser
from monitor.ingest.telephony.audiosocket import HEADER, AudioSocketParser, length
from monitor.ingest.telephony.dialect import MessageError, Parser, TelephonyError, read_object
from monitor.ingest.webrtc.answer import with_bitrates, with_one_layer
from monitor.ingest.webrtc.whep_source import AnswerError, accepted, readable
from monitor.ingest.webrtc.whip_offer import OfferError, read_candidates, read_offer
from monitor.sip.digest import Digest
from monitor.sip.message import MalformedError, SipError, read, reply, tag
from monitor.sip.recording import read_content, read_timer
from monitor.types import AudioFrame, Timing

AAC = "sizelength=13;indexlength=3;indexdeltalength=3;config=1408"
SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
SECTION = (
    "m={} 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=sendonly\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 AA:BB\r\na=rtcp-mux\r\na=rtpmap:96 {}\r\na=fmtp:96 a=1;b=2\r\n"
    "a=rtcp-fb:96 nack pli\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=ssrc:1 cname:x\r\n"
)
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    + SECTION.format("audio", "0", "opus/48000/2")
    + SECTION.format("video", "1", "VP8/90000")
    + "a=rid:h send\r\na=rid:f send\r\na=simulcast:send h;f\r\n"
)
CANDIDATE = "a=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host generation 0\r\n"
DESCRIPTION = (
    "v=0\no=- 0 0 IN IP4 1.2.3.4\ns=x\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 5600 RTP/AVP 111\n"
    "a=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\nm=video 5602 RTP/AVPF 96\n"
    "a=rtpmap:96 H264/90000\n"
)


@dataclass(frozen=True)
class Target:
    """Something to throw bytes at."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def offer(data: bytes) -> None:
    """A WHIP offer, and what the answer to it is made of."""
    text = data.decode(errors="replace")
    with suppress(OfferError):
        read = read_offer(text)
        assert read.audio or read.video
        read.fitted.completed(read.fitted.profiled(read.fitted.sdp))
    with_one_layer(with_bitrates(text, 1500, 300, 2500), text)


def layers(data: bytes) -> None:
    """Packets of VP9 or AV1, each behind a byte that says how long it is."""
    parts, at = [], 1
    while at < len(data):
        parts.append(kept(data[at + 1 : at + 1 + data[at]]))
        at += 1 + data[at]
    codec = ("vp9", "av1")[data[0] & 1] if data else "av1"
    with suppress(ValueError):
        whole = picture(codec, b"".join(parts))
        if whole:
            is_key_frame(codec, whole)


def rtms(data: bytes) -> None:
    """What Zoom sends, a message a line."""
    reader = RtmsReader(Wanted(pictures="jpeg"))
    for line in data.split(b"\n"):
        with suppress(MessageError, TelephonyError):
            message = read_object(line.decode(errors="replace"))
            if message.get("msg_type") == 4:
                reader.take_answer("audio", message)
                reader.take_answer("video", message)
            list(reader.read(message))


def hosts(data: bytes) -> None:
    """A URL that somebody else wants dialled."""
    with suppress(ValueError):
        url = Hosts(("*.zoom.us",)).check(data.decode(errors="replace"))
        assert urlsplit(url).hostname is not None


def header(data: bytes) -> None:
    """What is believed of a recording's own bytes."""
    parts = read_parts(data)
    assert parts[0].start == 0
    assert all(part.length is None or part.length >= 0 for part in parts)


def candidates(data: bytes) -> None:
    """Trickled candidates."""
    with suppress(OfferError):
        read_candidates(data.decode(errors="replace"))


def answer(data: bytes) -> None:
    """A WHEP server's answer."""
    with suppress(AnswerError):
        assert accepted(readable(data.decode(errors="replace"))) <= {"audio", "video"}


def description(data: bytes) -> None:
    """A session description: only ports that may be, and payload types that there are."""
    with suppress(DescriptionError):
        read = read_description(data.decode(errors="replace"), (5000, 65_534))
        assert read.ports
        assert all(5000 <= port < 65_534 for port in read.ports)
        for line in (read.sound, read.pictures):
            assert line is None or all(0 <= number < 128 for number in line.formats)


def pictures(data: bytes) -> None:
    """Packets of pictures: what comes out was sent, and not more of it."""
    named = enumerate(("h264", "h265", "vp8", "vp9"), 96)
    known = {number: picture_format(name) for number, name in named}
    formats = {number: each for number, each in known.items() if each is not None}
    made: list[int] = []
    assembly = Assembly(formats, 0.1, lambda frame: made.append(len(frame.data)), lambda: None)
    sent = 0
    for packet in packets(data):
        sent += len(packet.payload) + 4 * (1 + len(packet.payload) // 3)
        assembly.push(replace(packet, marker=bool(packet.sequence & 1)))
        assembly.pop(packet.arrived)
    assert sum(made) <= sent


def said(parser: Parser, messages: list[bytes]) -> None:
    """Hand messages over; those that begin with a zero are binary."""
    with suppress(TelephonyError):
        list(parser.opening())
        for message in messages:
            if message[:1] == b"\0":
                list(parser.binary(message[1:]))
            else:
                list(parser.text(message.decode(errors="replace")))
    parser.farewell(None)
    parser.farewell("wrong")


def telephony(make: Callable[[], Parser]) -> Callable[[bytes], None]:
    """A conversation, a message a line."""

    def run(data: bytes) -> None:
        said(make(), data.split(b"\n"))

    return run


def audiosocket(data: bytes) -> None:
    """A TCP stream, cut into messages as the listener does."""
    parser = AudioSocketParser()
    with suppress(TelephonyError):
        while len(data) >= HEADER:
            end = HEADER + length(data[:HEADER])
            if len(data) < end:
                return
            list(parser.binary(data[:end]))
            data = data[end:]


def packets(data: bytes) -> Iterator[RtpPacket]:
    """Packets of ten bytes of header, the last of which says how long the payload is."""
    arrived, at = 0.0, 0
    while at + 10 <= len(data):
        ssrc, number, stamp, kind, wait, size = struct.unpack_from(">BHIBBB", data, at)
        arrived += wait / 100
        payload = data[at + 10 : at + 10 + size]
        yield RtpPacket(ssrc & 1, number, stamp, 96 + kind % 14, payload, arrived)
        at += 10 + size


def jitter(data: bytes) -> None:
    """Packets in any order: each comes out once at most, and few are held."""
    buffer = JitterBuffer()
    seen = 0
    for packet in packets(data):
        for delivery in (*buffer.push(packet), *buffer.pop(packet.arrived)):
            assert delivery.missing >= 0
            seen += 1
        assert len(buffer._held) <= FARTHEST + 1
    seen += sum(1 for _ in buffer.flush())
    assert seen == buffer.counts.delivered <= buffer.counts.received
    assert buffer.deadline is None


def hearing(data: bytes) -> None:
    """Packets whose payload is decoded: call time never runs backwards far."""
    named = ("opus", "pcmu", "pcma", "g722", "g729", "gsm", "amr", "amr-wb")
    known = {number: sound_format(name) for number, name in enumerate(named, 96)}
    known[104] = sound_format("amr", 8_000, 1, "octet-align=1")
    known[105] = sound_format("l16", 16_000, 2)
    known[106] = sound_format("mpeg4-generic", 16_000, 1, AAC)
    formats = {number: each for number, each in known.items() if each is not None}
    assert len(formats) == len(known)
    heard = AudioReceiver("remote", formats, 0.08, lambda at: 0.0)
    until = 0.0
    for packet in packets(data):
        for media in (*heard.push(packet), *heard.pop(packet.arrived)):
            if isinstance(media, Timing):
                continue
            end = media.end if isinstance(media, AudioFrame) else media.span.end
            assert end >= 0
            until = max(until, end)
    list(heard.flush())


_DIGEST = Digest("sbc", "a password")


def sip(data: bytes) -> None:
    """A SIP message with all that is looked at, and answers that are whole messages again."""
    with suppress(MalformedError):
        request = read(data)
        if not isinstance(request, SipRequest):
            return
        dialog = create_dialog_from_request(request, local_tag="t")
        for make in (read_content, read_timer, partial(_DIGEST.check, address="192.0.2.1")):
            with suppress(SipError):
                make(request)
        with suppress(MalformedError):
            answered = read(bytes(reply(request, 200, "t", body="v=0")))
            assert answered.call_id == request.call_id
            assert tag(request, "to") or b"tag=t" in bytes(answered)
        asked = bytes(dialog.create_request("BYE", via_host="127.0.0.1"))
        assert asked.count(b"\r\n\r\n") == 1


def recording(data: bytes) -> None:
    """Metadata, and who is heard in two streams."""
    known = Metadata()
    for part in data.split(b"\x1e"):
        with suppress(MetadataError):
            known = read_metadata(part).over(known)
    found = voices(read_recording(RECORDING), known, ("sip:*@desk.example",))
    assert len({voice.participant for voice in found.values()}) == 2
    for voice in found.values():
        assert 0 < len(voice.participant) <= 80
        assert voice.participant.isprintable()


def recording_offer(data: bytes) -> None:
    """What a recording client offers; what is answered is one line for each, and can be read."""
    with suppress(SdpError):
        found = read_recording(data.decode(errors="replace"))
        keys = [b"k" * 30] * len(found)
        text = take_offer(found, [40_000] * len(found), keys, "127.0.0.1", 1)
        assert text.count("m=") >= len(found)
        assert len(read_recording(text)) == len(found)


def rtp(data: bytes) -> None:
    """A datagram."""
    found = read_packet(data, 0.0)
    assert found is None or len(found.payload) <= len(data) - 12


def lines(*messages: object) -> bytes:
    """A conversation of JSON texts and binary messages."""
    return b"\n".join(
        b"\0" + m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages
    )


def packet(number: int, kind: int, payload: bytes) -> bytes:
    """One packet as `packets` reads it."""
    return struct.pack(">BHIBBB", 0, number, number * 160, kind, 2, len(payload)) + payload


RECORDING = (
    "v=0\r\no=SRC 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=label:1\r\na=sendonly\r\n"
    "m=audio 6002 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=label:2\r\na=inactive\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n"
)
_WHO = (
    '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>'
    '<session session_id="s"><sipSessionID>x</sipSessionID></session><participant '
    'participant_id="p"><nameID aor="sip:+1555@a.example"><name>A</name></nameID></participant>'
    '<stream stream_id="t"><label>1</label></stream>'
    '<participantstreamassoc participant_id="p"><send>t</send></participantstreamassoc></recording>'
)
_INVITE = (
    "INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1;rport\r\n"
    "From: <sip:src@127.0.0.1>;tag=1\r\nTo: <sip:srs@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:src@127.0.0.1:5062>;+sip.src\r\nRecord-Route: <sip:p.example;lr>\r\n"
    "Require: siprec\r\nSession-Expires: 1800;refresher=uac\r\nAuthorization: Digest "
    'username="sbc", realm="deepfake-monitor", nonce="1.2", uri="sip:x", response="00"\r\n'
    'Content-Type: multipart/mixed;boundary="b"\r\n\r\n--b\r\nContent-Type: application/sdp\r\n\r\n'
    f"{RECORDING}--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n{_WHO}\r\n--b--\r\n"
)
_MEDIA = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "//8="}
_HOOK = {"version": "2", "id": SESSION, "serverseq": 0, "position": "PT0S"}
_OPEN = {
    "organizationId": SESSION,
    "conversationId": "1",
    "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
}
_SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "twilio": (lines(
        {"event": "connected", "protocol": "Call"},
        {"event": "start", "start": {"callSid": "C", "tracks": ["inbound"], "mediaFormat":
            {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}},
        {"event": "media", "media": _MEDIA}, {"event": "stop"}),),
    "telnyx": (lines(
        {"event": "start", "start": {"call_control_id": "C", "media_format":
            {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}},
        {"event": "media", "media": _MEDIA}, {"event": "stop"}),),
    "plivo": (lines(
        {"event": "start", "start": {"callId": "C", "tracks": ["inbound"], "mediaFormat":
            {"encoding": "audio/x-l16", "sampleRate": 16000}}},
        {"event": "media", "media": _MEDIA}),),
    "vonage": (lines({"event": "websocket:connected", "content-type": "audio/l16;rate=16000",
                      "call_uuid": "C"}, bytes(640)),),
    "jambonz": (lines({"callSid": "C", "sampleRate": 8000, "mixType": "stereo"}, bytes(640)),),
    "freeswitch": (lines({"anything": 1}, bytes(320)),),
    "livekit": (lines({"muted": True}, bytes(range(250)) * 2),),
    "pcm": (lines({"muted": True}, bytes(range(250)) * 2, {"event": "end"}),),
    "asterisk": (b"MEDIA_START connection_id:1 channel:c format:slin16 ptime:20\n\0" + bytes(64),
                 lines({"event": "MEDIA_START", "channel": "c", "format": "ulaw"}, bytes(160))),
    "audiohook": (lines(
        _HOOK | {"type": "open", "seq": 1, "parameters": _OPEN}, bytes(160),
        _HOOK | {"type": "ping", "seq": 2, "serverseq": 1, "parameters": {"rtt": "PT0.1S"}},
        _HOOK | {"type": "discarded", "seq": 3, "serverseq": 2, "parameters":
            {"start": "PT1S", "discarded": "PT2S"}},
        _HOOK | {"type": "close", "seq": 4, "serverseq": 2, "parameters": {"reason": "end"}}),),
}  # fmt: skip
_PACKETS = tuple(
    b"".join(packet(n, kind, payload) for n in (1, 2, 4, 3, 9, 65_535))
    for kind, payload in enumerate((b"\xf8\xff\xfe", bytes(160), bytes(20), b"\x10" * 80, b""))
)
_PICTURES = tuple(
    b"".join(packet(n, kind, payload) for n in (1, 2, 4, 3, 9))
    for kind, payload in (
        (0, b"\x78\0\x02\x67\x42\0\x02\x68\x01"),
        (0, b"\x7c\x85" + bytes(20)),
        (1, b"\x60\x01\0\x03\x40\x01\x02"),
        (1, b"\x62\x01\x93" + bytes(20)),
        (2, b"\x90\x80\x81\x23\x10\x02\0\x9d\x01\x2a"),
        (3, b"\xaa\x81\x01\0\x18\1\2\3\4\1\x04\1\x82\x49\x83\x42"),
    )
)

_RECORDINGS = (
    2 * (b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\x04\0\0\0" + bytes(4)),
    b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0" + bytes(28) + b"data\xff\xff\xff\xff" + bytes(9),
    2 * (b"OggS\0\x02" + bytes(20) + b"\x01\x04" + bytes(4)),
    2 * (b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20moov\0\0\0\x18mvhd" + bytes(16)),
    b"ID3\x04\0\0\0\0\0\x02ab\xff\xfb\x50\xc4" + bytes(32) + b"Xing\0\0\0\x01" + bytes(20),
    2 * (b"fLaC\x80\0\0\x22" + bytes(40)),
    2 * b"\x1a\x45\xdf\xa3\x88\x42\x82\x84webm\x15\x49\xa9\x66\x87D\x89\x84" + bytes(8),
    b"RIFF\0\0\0\0AVI strh" + bytes(60),
    b"caff\0\x01\0\0desc" + bytes(8) + b"data" + b"\xff" * 8,
    bytes.fromhex("3026b2758e66cf11")
    + bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    + bytes(90),
    2 * b"#!AMR\n\x3c" + bytes(31),
)
_MEETINGS = {
    "attendee": '{"trigger": "realtime_audio.per_participant", "data": {"chunk": "AAAA",'
    ' "sample_rate": 16000, "timestamp_ms": 1700000000000, "participant_uuid": "a"}}',
    "recall": '{"event": "audio_separate_raw.data", "data": {"data": {"buffer": "AAAA",'
    ' "participant": {"id": 1, "name": "a"}, "timestamp": {"relative": 1.5}}}}',
    "acs": '{"kind": "AudioData", "audioData": {"data": "AAAA", "participantRawID": "a",'
    ' "timestamp": "2026-11-30T19:16:12.925Z", "silent": false}}',
    "jitsi": '{"event": "media", "sequenceNumber": "1", "media": {"tag": "a-1", "chunk": "1",'
    ' "timestamp": "960", "payload": "+P/+"}}',
}
_RTMS = "\n".join(
    [
        '{"msg_type": 4, "media_params": {"audio": {"codec": 1, "sample_rate": 1}}}',
        '{"msg_type": 14, "content": {"user_id": 7, "timestamp": 20, "data": "AAAA"}}',
        '{"msg_type": 15, "content": {"user_id": 7, "user_name": "x", "data": "/9j/"}}',
        '{"msg_type": 6, "event": {"event_type": 3, "participants": [{"user_id": 7}]}}',
        '{"msg_type": 9, "rtms_session_id": "a", "state": 3}',
        '{"msg_type": 8, "state": 2}',
    ]
)

TARGETS: Mapping[str, Target] = {
    "offer": Target(offer, (OFFER.encode(),)),
    "layers": Target(
        layers,
        (b"\1\x05\x90\x0a\1\2\3\x04\x50\x32\1\2", b"\0\x04\x8c\x01\x82\x49\x03\x8c\x01\x86"),
    ),
    "rtms": Target(rtms, (_RTMS.encode(),)),
    "hosts": Target(hosts, (b"wss://rtms-sjc1.zoom.us:443/a?b=c", b"ws://a@127.0.0.1/")),
    "header": Target(header, _RECORDINGS),
    "candidates": Target(candidates, (f"m=audio 9 X 0\r\na=mid:0\r\n{CANDIDATE}".encode(),)),
    "answer": Target(answer, (OFFER.encode(),)),
    "description": Target(description, (DESCRIPTION.encode(),)),
    **{
        name: Target(telephony(lambda d=d: json_media.JsonParser(d)), _SEEDS[name])  # type: ignore[misc]
        for name, d in json_media.DIALECTS.items()
    },
    **{
        name: Target(telephony(lambda d=d: binary_media.BinaryParser(d, {})), _SEEDS[name])  # type: ignore[misc]
        for name, d in binary_media.DIALECTS.items()
    },
    **{
        name: Target(telephony(lambda d=d: MeetingParser(d)), (_MEETINGS[name].encode(),))  # type: ignore[misc]
        for name, d in json_meeting.DIALECTS.items()
    },
    "jitsi": Target(telephony(JitsiParser), (_MEETINGS["jitsi"].encode(),)),
    "audiohook": Target(
        telephony(lambda: AudioHookParser(SESSION, SESSION, frozenset({"remote", "agent"}))),
        _SEEDS["audiohook"],
    ),
    "audiosocket": Target(
        audiosocket,
        (b"\x01\x00\x10" + bytes(16) + b"\x10\x00\x04\x01\x02\x03\x04\x00\x00\x00",),
    ),
    "sip": Target(sip, (_INVITE.encode(), b"SIP/2.0 200 OK\r\n" + _INVITE.encode()[33:])),
    "recording": Target(recording, (_WHO.encode(), _WHO.encode() + b"\x1e" + _WHO.encode())),
    "recording_offer": Target(recording_offer, (RECORDING.encode(),)),
    "rtp": Target(rtp, (b"\x80\0\0\1" + bytes(8) + b"x" * 20, b"\xb1\x80" + bytes(30) + b"\3")),
    "jitter": Target(jitter, _PACKETS),
    "pictures": Target(pictures, _PICTURES),
    # The second sender's timestamps run backwards from the first packet on.
    "hearing": Target(
        hearing,
        (
            *_PACKETS,
            bytes.fromhex(
                "000001000000a02a0203f8fffe000002000101400002"
                "03f8fffe0000040000028000"
                "0203f8fffe000003000001e0000203f8fffe"
            ),
        ),
    ),
}
