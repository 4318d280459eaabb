"""What is added to an answer."""

import pytest

from monitor.ingest.webrtc.answer import best_layer, with_bitrates, with_one_layer

ANSWER = (
    "v=0\r\ns=-\r\nm=audio 9 X 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
    "m=video 9 X 96 97 102\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1\r\n"
)
OFFER = ANSWER.replace(
    "a=mid:1\r\n",
    "a=mid:1\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n",
)


def test_hints_reach_every_video_codec_and_nothing_else() -> None:
    lines = with_bitrates(ANSWER, 1500, 300, 2500).splitlines()
    hints = "x-google-start-bitrate=1500;x-google-min-bitrate=300;x-google-max-bitrate=2500"
    assert lines[lines.index("a=rtpmap:96 VP8/90000") + 1] == f"a=fmtp:96 {hints}"
    assert f"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;{hints}" in lines
    assert "a=fmtp:97 apt=96" in lines
    assert sum("x-google" in line for line in lines) == 2


def test_a_zero_leaves_a_hint_out() -> None:
    assert with_bitrates(ANSWER, 0, 0, 0) == ANSWER
    assert "a=fmtp:96 x-google-max-bitrate=900\r\n" in with_bitrates(ANSWER, 0, 0, 900)


def test_one_layer_of_a_simulcast_offer_is_accepted() -> None:
    answer = with_one_layer(ANSWER, OFFER)
    assert answer.endswith(
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
        "a=rid:f recv\r\na=simulcast:recv f\r\n"
    )
    assert with_one_layer(ANSWER, ANSWER) == ANSWER


@pytest.mark.parametrize(
    ("rids", "best"),
    [("q h f", "f"), ("f h q", "f"), ("lo hi", "hi"), ("0 1 2", "2"), ("high mid low", "high")],
)
def test_the_largest_layer_is_known_by_name_or_is_the_last(rids: str, best: str) -> None:
    assert best_layer(rids.split()) == best
