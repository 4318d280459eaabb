"""Offers that aiortc's parser stumbles over are refused, not faults of ours."""

import pytest

from monitor.ingest.webrtc.whep_source import AnswerError, accepted, readable
from monitor.ingest.webrtc.whip_offer import OfferError, read_candidates, read_offer
from tests.fuzz.targets import OFFER

HARMED = {
    "a group of nothing": OFFER.replace("a=group:BUNDLE 0 1", "a=group"),
    "a role that is none": OFFER.replace("a=setup:actpass", "a=setup:leader"),
    "a port that is none": OFFER.replace("m=audio 9", "m=audio x"),
}
SPOILED = {
    "a format of no payload type": OFFER.replace("a=fmtp:96", "a=fmtp:99"),
    "an attribute without its value": OFFER.replace("a=fmtp:96 a=1;b=2", "a=fmtp"),
    "a bundle of what is not there": OFFER.replace("BUNDLE 0", "BUNDLE 7"),
}
"""What is wrong and does not matter."""


@pytest.mark.parametrize("name", SPOILED)
def test_what_nobody_needs_may_be_wrong(name: str) -> None:
    found = read_offer(SPOILED[name])
    assert (found.audio, found.video) == (True, True)
    assert accepted(readable(SPOILED[name])) == {"audio", "video"}


@pytest.mark.parametrize("name", HARMED)
def test_harmed_offers_and_answers_are_refused(name: str) -> None:
    sound = read_offer(OFFER)
    assert (sound.audio, sound.video) == (True, True)
    with pytest.raises(OfferError) as caught:
        read_offer(HARMED[name])
    assert (caught.value.status, caught.value.title) == (400, "Malformed SDP")
    assert accepted(readable(OFFER)) == {"audio", "video"}
    with pytest.raises(AnswerError):
        accepted(readable(HARMED[name]))


def test_harmed_candidates_are_refused() -> None:
    assert read_candidates("a=mid:0\r\na=end-of-candidates\r\n") == [None]
    for line in ("a=candidate:", "a=candidate:1 x udp 1 1.2.3.4 5 typ host", "a=candidate:1 1 udp"):
        with pytest.raises(OfferError) as caught:
            read_candidates(f"a=mid:0\r\n{line}\r\n")
        assert caught.value.status == 400
