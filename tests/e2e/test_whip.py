"""WHIP as RFC 9725 has it, with real offers from a real browser, right and wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import Service

SDP = {"Content-Type": "application/sdp"}
TRICKLE = "application/trickle-ice-sdpfrag"

OFFER = """
async ({codec, audio, trickle}) => {
  const media = await navigator.mediaDevices.getUserMedia({audio, video: codec !== null});
  const pc = window.pc = new RTCPeerConnection();
  window.candidates = [];
  pc.onicecandidate = (e) => window.candidates.push(e.candidate);
  for (const track of media.getTracks()) {
    const sender = pc.addTransceiver(track, {direction: 'sendonly'});
    if (track.kind === 'video' && codec !== 'any') {
      const all = RTCRtpSender.getCapabilities('video').codecs;
      sender.setCodecPreferences(all.filter((c) => c.mimeType === codec));
    }
  }
  await pc.setLocalDescription();
  while (!trickle && pc.iceGatheringState !== 'complete') {
    await new Promise((r) => setTimeout(r, 50));
  }
  const sdp = pc.localDescription.sdp;
  return trickle ? sdp.replace(/a=candidate.*\\r\\n/g, '') : sdp;
}
"""
ANSWER = "async (sdp) => { await window.pc.setRemoteDescription({type: 'answer', sdp}); }"


@pytest.fixture(scope="module")
def page(
    service: Service, recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    with Browser(folder, recordings.voice(HUMAN).wav48, recordings.camera()) as browser:
        yield browser.open(service.url)


def offer(page: Page, codec: str | None = "any", audio: bool = True, trickle: bool = False) -> str:
    sdp: str = page.evaluate(OFFER, {"codec": codec, "audio": audio, "trickle": trickle})
    return sdp


def post(service: Service, sdp: str, **headers: str) -> httpx.Response:
    return service.http.post("/whip", content=sdp, headers={**SDP, **headers})


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264", "video/VP9", "video/AV1"])
def test_a_session_from_offer_to_delete(service: Service, page: Page, codec: str) -> None:
    answer = post(service, offer(page, codec))
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["etag"].startswith('"')
    location = answer.headers["location"]
    page.evaluate(ANSWER, answer.text)
    call = location.rsplit("/", 1)[1]
    verdict = service.wait_verdict(call, scored=2, timeout=20)
    assert verdict["seconds"]["lost"] < 1
    assert service.http.delete(location).status_code == 200
    assert service.http.delete(location).status_code == 404
    assert service.call(call)["ended"] == "ended"


def unreceivable(sdp: str) -> str:
    """An offer of H.265, which Chromium makes only where it has hardware for it."""
    return sdp.replace(" VP8/90000", " H265/90000")


def test_a_video_that_cannot_be_received_does_not_cost_the_voice(
    service: Service, page: Page
) -> None:
    answer = post(service, unreceivable(offer(page, "video/VP8")))
    assert answer.status_code == 201, answer.text
    assert "m=video 0 " in answer.text
    page.evaluate(ANSWER, answer.text)
    location = answer.headers["location"]
    call = location.rsplit("/", 1)[1]
    service.wait_verdict(call, scored=2, timeout=20)
    (said,) = [r for r in service.log("not as it should be") if r["call"] == call]
    assert (said["kind"], said["field"]) == ("section", "m=video")
    assert "h265" in said["detail"]
    assert service.http.delete(location).status_code == 200


def test_monitoring_may_wait_for_consent(service: Service, page: Page) -> None:
    sdp = offer(page, "video/VP8")
    answer = service.http.post("/whip", content=sdp, params={"paused": "consent"}, headers=SDP)
    assert answer.status_code == 201, answer.text
    page.evaluate(ANSWER, answer.text)
    location = answer.headers["location"]
    call = location.rsplit("/", 1)[1]

    def seconds() -> dict[str, Any]:
        found: dict[str, Any] = service.verdict(call).get("seconds", {})
        return found

    wait_until(lambda: seconds().get("lost_by_reason", {}).get("paused", 0) >= 3, 20, "the pause")
    assert seconds()["scored"] == seconds()["abstained"] == 0
    assert service.call(call)["participants"][0]["paused"]["reason"] == "consent"
    at = f"/api/v1/calls/{call}/participants/remote/resume"
    assert service.http.post(at).status_code == 200
    spent = service.wait_verdict(call, scored=2, timeout=20)["seconds"]
    assert spent["lost"] - spent["lost_by_reason"]["paused"] < 1
    assert service.http.delete(location).status_code == 200
    wrong = service.http.post("/whip", content=sdp, params={"paused": "whim"}, headers=SDP)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "paused")


def test_two_participants_of_one_call(service: Service, page: Page) -> None:
    where, calls = [], set()
    for name in ("alice", "bob"):
        sdp = offer(page, "video/VP8")
        about = {"call": "conference", "participant": name}
        answer = service.http.post("/whip", content=sdp, params=about, headers=SDP)
        assert answer.status_code == 201, answer.text
        page.evaluate(ANSWER, answer.text)
        page.evaluate("(window.parties ??= []).push(window.pc)")
        where.append(answer.headers["location"])
        calls.add(answer.headers["x-call-id"])
    (call,) = calls

    def scored() -> list[float]:
        found = service.call(call)["participants"]
        return [p["verdict"]["seconds"]["scored"] for p in found if p["verdict"]]

    wait_until(lambda: len(scored()) == 2 and min(scored()) >= 2, 20, "both voices")
    assert service.http.delete(where[0]).status_code == 200
    assert service.call(call)["ended"] is None
    assert service.http.delete(where[1]).status_code == 200
    ended = service.call(call)
    assert ended["ended"] == "ended"
    for participant in ended["participants"]:
        assert participant["verdict"]["seconds"]["lost"] < 1


def test_trickled_candidates_connect(service: Service, page: Page) -> None:
    answer = post(service, offer(page, trickle=True))
    assert answer.status_code == 201, answer.text
    location, etag = answer.headers["location"], answer.headers["etag"]
    page.evaluate(ANSWER, answer.text)
    wait_until(lambda: page.evaluate("window.candidates.includes(null)"), 10, "candidates")
    found = page.evaluate("window.candidates.filter((c) => c && c.candidate)"
                          ".map((c) => [c.sdpMid, c.candidate])")  # fmt: skip
    assert found
    body = "".join(f"m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\na={text}\r\n" for mid, text in found)
    body += "a=end-of-candidates\r\n"

    def patch(**headers: str) -> int:
        headers = {"Content-Type": TRICKLE} | {k.replace("_", "-"): v for k, v in headers.items()}
        return service.http.patch(location, content=body, headers=headers).status_code

    assert patch() == 428
    assert patch(If_Match='"another"') == 412
    assert patch(If_Match="*") == 422
    assert patch(If_Match=etag, Content_Type="text/plain") == 415
    assert patch(If_Match=etag) == 204
    service.wait_verdict(location.rsplit("/", 1)[1], scored=2, timeout=20)
    assert service.http.delete(location).status_code == 200


def test_a_call_without_audio_is_taken_and_named(service: Service, page: Page) -> None:
    answer = post(service, offer(page, "video/VP8", audio=False))
    assert answer.status_code == 201, answer.text
    page.evaluate(ANSWER, answer.text)
    call = answer.headers["location"].rsplit("/", 1)[1]
    wait_until(lambda: [r for r in service.log("no audio") if r["call"] == call], 10, "a log event")
    assert service.http.delete(answer.headers["location"]).status_code == 200


def test_bad_offers_are_problems_that_name_the_cause(service: Service, page: Page) -> None:
    good = offer(page)
    running = post(service, good)
    page.evaluate(ANSWER, running.text)
    cases = {
        "H.265 alone": (unreceivable(offer(page, "video/VP8", audio=False)), 422, "h265"),
        "not SDP": ("hello", 400, "v=0"),
        "cut off": (good[:100], 422, "no m=audio"),
        "recvonly": (good.replace("a=sendonly", "a=recvonly"), 422, "sends media"),
        "no ICE": (good.replace("a=ice-ufrag", "a=x-ufrag"), 400, "ICE"),
        "no DTLS": (good.replace("a=fingerprint", "a=x-fingerprint"), 400, "DTLS"),
    }
    for name, (sdp, status, words) in cases.items():
        answer = post(service, sdp)
        assert answer.status_code == status, (name, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"], name
        assert answer.json()["field"] == "sdp"
    assert post(service, good, **{"Content-Type": "text/plain"}).status_code == 415
    assert post(service, "v=0\r\n" + "a=x\r\n" * 100_000).status_code == 413
    assert service.http.post(
        "/whip", content=good, headers={**SDP, "Authorization": "Bearer wrong"}
    ).status_code == 401  # fmt: skip
    # none of this disturbed the call that was running
    location = running.headers["location"]
    assert service.call(location.rsplit("/", 1)[1])["ended"] is None
    assert service.http.delete(location).status_code == 200


def test_options_say_what_may_be_posted(service: Service) -> None:
    answer = service.http.options("/whip")
    assert answer.status_code == 204
    assert answer.headers["accept-post"] == "application/sdp"


def test_a_page_of_another_origin_may_publish_only_if_configured(tmp_path: Path) -> None:
    origin = "https://softphone.example"
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    with Service(tmp_path / "closed") as closed:
        assert (
            "access-control-allow-origin"
            not in closed.http.options("/whip", headers=preflight).headers
        )
    with Service(tmp_path / "open", f'[server]\ncors_origins = ["{origin}"]\n') as opened:
        answer = opened.http.options("/whip", headers=preflight)
        assert answer.headers["access-control-allow-origin"] == origin
        answer = opened.http.post("/whip", content="x", headers={**SDP, "Origin": origin})
        assert "Location" in answer.headers["access-control-expose-headers"]
