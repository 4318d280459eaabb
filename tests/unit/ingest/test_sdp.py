"""Only what is understood of a description reaches FFmpeg, and what cannot be received is named."""

import pytest

from monitor.ingest.sdp import LONGEST, DescriptionError, read_description

JANUS = """v=0
o=- 16 1 IN IP4 203.0.113.7
s=VideoRoom 1234
i=ignored
c=IN IP4 203.0.113.7
t=0 0
a=source-filter: incl IN IP4 * 203.0.113.9
m=audio 5600 RTP/AVP 111
a=rtpmap:111 opus/48000/2
a=control:rtsp://203.0.113.7/x
m=video 5602 RTP/AVPF 95 96
c=IN IP4 239.0.0.1/127
a=rtpmap:95 XYZ/90000
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==
"""
OURS = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 5600 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"
    "m=video 5602 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r\n"
)


def read(text: str, host: str = "127.0.0.1") -> str:
    return read_description(text, host, (5000, 65_534)).text


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_addresses_and_unknown_lines_are_left_out(ending: str) -> None:
    description = read_description(JANUS.replace("\n", ending), "127.0.0.1", (5000, 6000))
    assert description.text == OURS
    assert description.ports == (5600, 5602)
    assert read(description.text) == OURS


def test_static_payload_types_need_no_map_and_ipv6_is_an_address() -> None:
    text = read("v=0\r\nm=audio 6000 RTP/AVP 101 8 0\r\n", "::1")
    assert "c=IN IP6 ::1\r\n" in text
    assert text.endswith("m=audio 6000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n")


def test_the_first_of_each_kind_counts() -> None:
    text = read(
        "v=0\nm=video 0 RTP/AVP 96\nm=application 7 UDP/DTLS/SCTP webrtc-datachannel\n"
        "m=audio 6000 RTP/AVP 0\nm=audio 6002 RTP/AVP 8\n"
    )
    assert text.count("m=") == 1
    assert "m=audio 6000 RTP/AVP 0" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        ("v=0\n", "no m=audio or m=video"),
        ("v=0\nm=audio 0 RTP/AVP 0\n", "no m=audio or m=video"),
        ("v=0\nm=audio\n", "needs a port"),
        ("v=0\nm=audio x RTP/AVP 0\n", "needs a port"),
        ("v=0\nm=audio 99999 RTP/AVP 0\n", "port 99999"),
        ("v=0\nm=audio 22 RTP/AVP 0\n", "port 22 is not from 5000 to 65533"),
        ("v=0\nm=audio 6000 UDP/TLS/RTP/SAVPF 0\n", "not encrypted"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 speex/8000\n", "m=audio: none of g722"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 opus 48000\n", "a=rtpmap line"),
        ("v=0\nm=video 6000 RTP/AVP 96\na=rtpmap:96 VP8/90000\na=fmtp:96 \x00\n", "a=fmtp line"),
        ("v=0\nm=audio 6000 RTP/AVP 0\nm=video 6001 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", "RTCP"),
        ("v=0\n" + "a=x\n" * LONGEST, "longer than"),
    ],
)
def test_what_cannot_be_received_is_named(text: str, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        read(text)


@pytest.mark.parametrize(
    ("types", "more", "says"),
    [
        ("0", "", False),
        ("0 13", "", True),
        ("0 13", "a=rtpmap:13 CN/8000\n", True),
        ("0 98", "a=rtpmap:98 cn/16000\n", True),
        ("0 101", "a=rtpmap:101 telephone-event/8000\n", False),
    ],
)
def test_who_describes_comfort_noise_leaves_pauses_out(types: str, more: str, says: bool) -> None:
    text = f"v=0\nm=audio 5600 RTP/AVP {types}\n{more}"
    assert read_description(text, "127.0.0.1", (5000, 6000)).comfort_noise is says
