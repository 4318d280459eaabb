"""Of a description ports and codecs count, and what cannot be received is named."""

import pytest

from monitor.ingest.rtp.sdp import LONGEST, Description, DescriptionError, read_description

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


def read(text: str) -> Description:
    return read_description(text, (5000, 65_534))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_addresses_and_unknown_lines_mean_nothing(ending: str) -> None:
    description = read_description(JANUS.replace("\n", ending), (5000, 6000))
    assert description.ports == (5600, 5602)
    assert description.sound is not None
    assert description.pictures is not None
    assert {n: f.name for n, f in description.sound.formats.items()} == {111: "opus"}
    ((number, pictures),) = description.pictures.formats.items()
    assert (number, pictures.codec) == (96, "h264")
    # Sequence and picture parameter set.
    assert [unit[0] & 31 for unit in pictures.sets.split(b"\0\0\0\1")[1:]] == [7, 8]


def test_every_payload_type_of_a_section_is_heard() -> None:
    text = (
        "v=0\nm=audio 6000 RTP/AVP 101 8 0 13 18 3 10 96 97 98 300\n"
        "a=rtpmap:101 telephone-event/8000\na=rtpmap:96 AMR/8000\na=fmtp:96 octet-align=1\n"
        "a=rtpmap:97 AMR-WB/16000\na=rtpmap:98 mpeg4-generic/44100/2\n"
        "a=fmtp:98 mode=AAC-hbr;config=1210;sizeLength=13;indexLength=3;indexDeltaLength=3\n"
    )
    sound = read(text).sound
    assert sound is not None
    assert {n: (f.decoder, f.rate, f.channels) for n, f in sound.formats.items()} == {
        8: ("pcm_alaw", 8_000, 1),
        0: ("pcm_mulaw", 8_000, 1),
        18: ("g729", 8_000, 1),
        3: ("gsm", 8_000, 1),
        10: ("pcm_s16be", 44_100, 2),
        96: ("libopencore_amrnb", 8_000, 1),
        97: ("libopencore_amrwb", 16_000, 1),
        98: ("aac", 44_100, 2),
    }
    assert sound.formats[96].aligned
    assert not sound.formats[97].aligned
    assert sound.formats[98].encoding.extradata == b"\x12\x10"


def test_the_first_of_each_kind_counts() -> None:
    found = read(
        "v=0\nm=video 0 RTP/AVP 96\nm=application 7 UDP/DTLS/SCTP webrtc-datachannel\n"
        "m=audio 6000 RTP/AVP 0\nm=audio 6002 RTP/AVP 8\n"
    )
    assert found.pictures is None
    assert found.ports == (6000,)


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
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 speex/8000\n", "m=audio: none of AMR"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 opus 48000\n", "a=rtpmap line"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 AMR/8000\na=fmtp:97 crc=1\n", "none of AMR"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/44100\n", "none of AMR"),
        ("v=0\nm=audio 6000 RTP/AVP 97\na=rtpmap:97 L16/8000/8\n", "none of AMR"),
        ("v=0\nm=video 6000 RTP/AVP 96\na=rtpmap:96 VP8/90000\na=fmtp:96 \x00\n", "a=fmtp line"),
        ("v=0\nm=audio 6000 RTP/AVP 0\nm=video 6001 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", "RTCP"),
        ("v=0\n" + "a=x\n" * LONGEST, "longer than"),
    ],
)
def test_what_cannot_be_received_is_named(text: str, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        read(text)
