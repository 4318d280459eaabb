"""Offers as encoders and devices write them: what can be received is, the rest is refused alone."""

import asyncio
import re
from dataclasses import replace

import aioice.ice
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from monitor.ingest.connection.anomaly import AnomalyKind
from monitor.ingest.webrtc.whip_offer import Offer, OfferError, read_candidates, read_offer
from monitor.ingest.webrtc.whip_source import WebRtcOptions, WebRtcSource
from monitor.types.sampling import Sampling
from tests.flow.webrtc import Camera, MemoryIntake, Network, Speech, loopback_only, publish

__all__ = ["loopback_only"]

pytestmark = [pytest.mark.usefixtures("loopback_only"), pytest.mark.timeout(120)]

PRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
ICE = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
TRANSPORT = f"{ICE}{PRINT}a=setup:actpass\r\n"
COMMON = f"{TRANSPORT}a=sendonly\r\na=rtcp-mux\r\nc=IN IP4 0.0.0.0\r\n"
VOICE_ALONE = [("audio", True, "0"), ("video", False, "1")]
HEAD = "v=0\r\no=- 1 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
VOICE = f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n{COMMON}"


def video(codecs: str, port: int = 9, more: str = "", mid: str = "1") -> str:
    numbers = " ".join(re.findall(r"rtpmap:(\d+)", codecs))
    return f"m=video {port} UDP/TLS/RTP/SAVPF {numbers}\r\na=mid:{mid}\r\n{codecs}{more}{COMMON}"


def h264(parameters: str = "", number: int = 96) -> str:
    fmtp = f"a=fmtp:{number} {parameters}\r\n" if parameters else ""
    return f"a=rtpmap:{number} H264/90000\r\n{fmtp}"


H265 = video("a=rtpmap:45 H265/90000\r\n")
DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n" + COMMON
)


def bundle(*mids: str) -> str:
    return f"{HEAD}a=group:BUNDLE {' '.join(mids)}\r\n"


async def answered(sdp: str) -> tuple[Offer, str]:
    """The offer as it was read, and what is answered."""
    offer = read_offer(sdp)
    source = WebRtcSource(offer, "remote", Sampling.steady(5), 640, WebRtcOptions())
    try:
        return offer, await source.answer()
    finally:
        await source.discard()


def sections(sdp: str) -> list[tuple[str, bool, str]]:
    """Kind, whether it is taken, and mid of each section."""
    found = re.findall(r"(?ms)^m=(\w+) (\d+) (.*?)(?=^m=|\Z)", sdp)
    mids = [re.search(r"(?m)^a=mid:(\S+)", rest) for _, _, rest in found]
    return [
        (kind, port != "0", mid[1] if mid else "")
        for (kind, port, _), mid in zip(found, mids, strict=True)
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        "profile-level-id=42e01f;packetization-mode=1",
        "profile-level-id=4d0028;packetization-mode=1",
        "profile-level-id=640028;packetization-mode=1;level-asymmetry-allowed=1",
        "profile-level-id=640032; packetization-mode=1; sprop-parameter-sets=Z2QAKA==,aO48gA==",
        "packetization-mode=1",
        "packetization-mode=0;profile-level-id=42001e",
        "profile-level-id=F4001F",
        "profile-level-id=7a0028;packetization-mode=1",
        "profile-level-id=nonsense",
        "",
    ],
)
async def test_h264_of_any_profile_is_taken_as_it_was_offered(parameters: str) -> None:
    """GStreamer 1.22 and FFmpeg 8 offer the one profile that their encoder makes; no a=fmtp means
    Baseline (RFC 6184)."""
    offer, sdp = await answered(bundle("0", "1") + VOICE + video(h264(parameters)))
    assert (offer.audio, offer.video, offer.refused) == (True, True, ())
    assert sections(sdp) == [("audio", True, "0"), ("video", True, "1")]
    (shown,) = re.findall(r"(?m)^a=fmtp:96 (.*?)\r?$", sdp)
    profile = re.search(r"profile-level-id=\w+", parameters)
    if profile is not None:
        assert profile[0].lower() in shown.lower()
    elif "packetization-mode=1" not in parameters:
        assert "packetization-mode" not in shown
    assert "x-google-start-bitrate=1500" in shown


async def test_a_codec_that_needs_no_help_is_answered_as_before() -> None:
    codecs = "a=rtpmap:96 VP8/90000\r\n" + h264("profile-level-id=640028;packetization-mode=1", 98)
    _, sdp = await answered(bundle("0", "1") + VOICE + video(codecs))
    assert re.findall(r"a=rtpmap:(\d+) \w+/90000", sdp) == ["96"]


async def test_senders_are_left_to_turn_their_pictures_themselves() -> None:
    """Telephones offer to say with each picture how it is to be turned (3GPP TS 26.114); to whom it
    is not agreed to, sends pictures that are upright."""
    turned = "a=extmap:4 urn:3gpp:video-orientation\r\n"
    turned += "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    offer = bundle("0", "1") + VOICE + video("a=rtpmap:96 VP8/90000\r\n", more=turned)
    _, sdp = await answered(offer)
    assert "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid" in sdp
    assert "video-orientation" not in sdp


@pytest.mark.parametrize(
    ("sdp", "wanted", "odd"),
    [
        # A video that cannot be received, before or after the voice, in a bundle or alone.
        (bundle("0", "1") + VOICE + H265, VOICE_ALONE, ["m=video"]),
        (bundle("1", "0") + H265 + VOICE, VOICE_ALONE[::-1], ["m=video"]),
        (HEAD + VOICE + H265, VOICE_ALONE, ["m=video"]),
        # One that the sender itself has refused.
        (
            bundle("0") + VOICE + video(h264(), port=0),
            [("audio", True, "0"), ("video", False, "1")], [],
        ),
        # RFC 8843: port 0 that its bundle carries is not refused.
        (
            bundle("0", "1") + VOICE + video(h264(), port=0, more="a=bundle-only\r\n"),
            [("audio", True, "0"), ("video", True, "1")], [],
        ),
        # A voice that cannot be received beside a picture that can.
        (
            bundle("0", "1") + VOICE.replace("opus/48000/2", "speex/16000") + video(h264()),
            [("audio", False, "0"), ("video", True, "1")], ["m=audio"],
        ),
        (
            bundle("0", "1", "2") + VOICE + H265 + DATA,
            [("audio", True, "0"), ("video", False, "1"), ("application", True, "2")], ["m=video"],
        ),
        (
            bundle("0") + VOICE + "m=text 9 RTP/AVP 98\r\na=mid:3\r\n"
            "m=application 9 udp wb\r\nm=image 9 udptl t38\r\n",
            [("audio", True, "0"), ("text", False, "3"), ("application", False, ""),
             ("image", False, "")],
            ["m=text", "m=application", "m=image"],
        ),
        (
            bundle("0", "1") + VOICE + video("a=rtpmap:45 H265/90000\r\n",
                                             more="a=rid:h send\r\na=simulcast:send h;f\r\n"),
            [("audio", True, "0"), ("video", False, "1")], ["m=video"],
        ),
        # What goes without saying: payload types of RFC 3551, transport of the bundle's carrier.
        (
            bundle("0") + VOICE.replace("111", "0").replace("a=rtpmap:0 opus/48000/2\r\n", ""),
            [("audio", True, "0")], [],
        ),
        (
            bundle("0", "1") + VOICE + video(h264()).replace(TRANSPORT, ""),
            [("audio", True, "0"), ("video", True, "1")], [],
        ),
        (
            HEAD + "a=group:BUNDLE 0 1\r\na=setup:actpass\r\n" + ICE + PRINT
            + (VOICE + video(h264())).replace(TRANSPORT, ""),
            [("audio", True, "0"), ("video", True, "1")], [],
        ),
        # Lines that aiortc cannot read and nobody needs.
        (
            bundle("0", "1", "9") + VOICE + "a=fmtp:63 111/111\r\na=rtcp-fb:99 nack\r\na=ssrc:7\r\n"
            "a=extmap:4/sendonly urn:x:y with attributes\r\na=candidate:of no use\r\na=fmtp\r\n"
            + video(h264()),
            [("audio", True, "0"), ("video", True, "1")], [],
        ),
    ],
)  # fmt: skip
async def test_each_section_is_answered_at_its_place(
    sdp: str, wanted: list[tuple[str, bool, str]], odd: list[str]
) -> None:
    offer, answer = await answered(sdp)
    assert sections(answer) == wanted
    assert [anomaly.field for anomaly in offer.refused] == odd
    assert all(anomaly.kind is AnomalyKind.SECTION for anomaly in offer.refused)
    group = re.search(r"(?m)^a=group:BUNDLE ?(.*?)\r?$", answer)
    taken = {mid for _, there, mid in wanted if there}
    assert (group is not None) == ("BUNDLE" in sdp)
    assert group is None or set(group[1].split()) == taken
    refused = re.findall(r"(?ms)^m=\w+ 0 .*?(?=^m=|\Z)", answer)
    assert all("a=inactive" in each and "simulcast" not in each for each in refused)


@pytest.mark.parametrize(
    ("sdp", "status", "words"),
    [
        (bundle("1") + H265, 422, "h265"),
        (bundle("0") + VOICE.replace("m=audio 9", "m=audio 0"), 422, "no m=audio"),
        (bundle("0", "1") + VOICE.replace("sendonly", "recvonly") + H265, 422, "h265"),
        (bundle("0") + VOICE.replace("m=audio 9", "m=audio x"), 400, "cannot be parsed"),
    ],
)
def test_an_offer_of_which_nothing_can_be_received_names_why(
    sdp: str, status: int, words: str
) -> None:
    with pytest.raises(OfferError) as caught:
        read_offer(sdp)
    assert caught.value.status == status
    assert words in caught.value.detail


def test_candidates_of_a_refused_section_are_the_bundles() -> None:
    candidate = "a=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host"
    carried = H265 + candidate + "\r\na=end-of-candidates\r\n"
    fitted = read_offer(bundle("1", "0") + carried + VOICE).fitted
    assert fitted.sdp.count(candidate) == 1
    assert "m=video" not in fitted.sdp
    (found, _) = read_candidates(f"m=video 9 X 0\r\na=mid:1\r\n{candidate}\r\na=end-of-candidates")
    assert found is not None
    assert fitted.carried(found.sdpMid, found.sdpMLineIndex) == "0"
    assert fitted.carried(None, 0) == fitted.carried(None, 1) == fitted.carried("9", None) == "0"


async def test_a_voice_is_heard_beside_a_video_that_was_refused() -> None:
    """A page that insists on H265: Chromium offers it alone if it is told to."""
    client, intake = RTCPeerConnection(), MemoryIntake()
    client.addTransceiver(Camera(), direction="sendonly")
    client.addTransceiver(Speech(), direction="sendonly")
    await client.setLocalDescription(await client.createOffer())
    sdp = re.sub(r"(VP8|VP9|AV1|H264|rtx)/90000", "H265/90000", client.localDescription.sdp)
    source = WebRtcSource(read_offer(sdp), "remote", Sampling.steady(5), 640, WebRtcOptions())
    answer = await source.answer()
    assert sections(answer)[0][:2] == ("video", False)
    # aiortc cannot be told of a refused section: it hears of one that nothing is sent through.
    voice = answer[answer.index("m=audio") :]
    shared = "".join(re.findall(r"a=(?:ice-ufrag|ice-pwd|fingerprint|candidate).*\r\n", voice))
    offered = client.localDescription.sdp
    picture = offered[offered.index("m=video") : offered.index("m=audio")]
    picture = re.sub(r"a=(?:ice-|fingerprint|candidate|end-of).*\r\n", "", picture)
    picture = picture.replace("a=sendonly", "a=inactive").replace("actpass", "active")
    session = offered[: offered.index("m=video")]
    told = f"{session}{picture}{shared}a=end-of-candidates\r\n{voice}"
    running = asyncio.create_task(source.run(intake))
    try:
        await client.setRemoteDescription(RTCSessionDescription(told, "answer"))
        async with asyncio.timeout(60):
            while intake.heard_seconds < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        source.hang_up()
        assert await running == "ended"
    finally:
        running.cancel()
        await client.close()
    assert not intake.video


class Muted(Speech):
    """Speaks for a second, is muted by `replaceTrack(null)` for four, and speaks again."""

    muted = False

    async def recv(self):  # type: ignore[no-untyped-def]
        packet = await super().recv()
        while self.muted:
            await asyncio.sleep(0.05)
            self._n += 2
            packet = await super().recv()
        return packet


async def test_who_is_muted_stays_and_who_no_longer_answers_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page mutes with `replaceTrack(null)`: no packet comes, and ICE consent is answered."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.5)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 6)
    intake = MemoryIntake()
    track = Muted()
    options = replace(WebRtcOptions(), connect_timeout=20.0)
    ended: list[float] = []

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        async with asyncio.timeout(30):
            while intake.heard_seconds < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        track.muted = True
        await asyncio.sleep(5)
        heard = intake.heard_seconds
        track.muted = False
        async with asyncio.timeout(30):
            while intake.heard_seconds < heard + 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        # Its machine dies: nothing is answered any more, and nothing is said.
        network.dead = True
        async with asyncio.timeout(60):
            while not source.receiver._ended.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        ended.append(1)

    network = Network()
    tracks: list[MediaStreamTrack] = [track]
    assert await publish(tracks, intake, during, network, options) in ("disconnected", "ended")
    assert ended


async def test_who_connects_and_sends_nothing_yet_is_waited_for() -> None:
    """A participant who joins muted: the connection is up, and no packet has come."""
    track = Muted()
    track.muted = True

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        async with asyncio.timeout(30):
            while not source.receiver.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await asyncio.sleep(4)
        assert source.receiver.connected
        track.muted = False

    intake = MemoryIntake()
    options = WebRtcOptions(connect_timeout=3.0)
    assert await publish([track], intake, during, options=options) == "ended"
