"""A participant is pulled by WHEP from libwebrtc: a browser behind an HTTP endpoint."""

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import httpx
import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import HUMAN
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import Started, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import Service

TOKEN = "sfu-bearer"
ANSWER = """
async (offer) => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
  const pc = window.pc = new RTCPeerConnection();
  for (const track of media.getTracks()) pc.addTrack(track, media);
  await pc.setRemoteDescription({type: 'offer', sdp: offer});
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== 'complete') await new Promise((r) => setTimeout(r, 50));
  return pc.localDescription.sdp;
}
"""


class Sfu(Started):
    """An endpoint that gives offers to whoever holds the browser, and its answers back."""

    def __init__(self) -> None:
        self.offers: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[str] = queue.Queue()
        self.deleted: list[str] = []
        sfu = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self, status: int, headers: dict[str, str], body: str = "") -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self) -> None:
                offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/gone":
                    return self._respond(404, {})
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    return self._respond(401, {})
                sfu.offers.put(offer)
                sdp = sfu.answers.get(timeout=20)
                head = {"Content-Type": "application/sdp", "Location": "/resource/1"}
                return self._respond(201, head, sdp)

            def do_DELETE(self) -> None:
                sfu.deleted.append(self.path)
                self._respond(200, {})

            def log_message(self, format: str, *args: object) -> None:
                """What was asked is checked, not printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"whep+http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, page: Page) -> None:
        """Let the page take the next offer."""
        self.answers.put(page.evaluate(ANSWER, self.offers.get(timeout=20)))


@pytest.fixture(scope="module")
def page(
    service: Service, recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    with Browser(folder, recordings.voice(HUMAN).wav48, recordings.camera()) as browser:
        yield browser.open(service.url)


@pytest.fixture(scope="module")
def sfu() -> Iterator[Sfu]:
    with Sfu() as running:
        yield running


def test_a_browser_s_tracks_are_pulled_lost_and_pulled_again(
    service: Service, page: Page, sfu: Sfu
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.pull, f"{sfu.url}/whep/room", token=TOKEN)
        sfu.answer(page)
        answer: httpx.Response = asked.result(20)
    assert answer.status_code == 201, answer.text
    record = answer.json()
    assert record["ingest"] == "whep"
    (participant,) = record["participants"]
    assert (participant["audio"], participant["video"]) == (True, True)
    call = record["id"]
    with service.events(call) as events:
        face = next(d for k, d in events if k == "window" and d["detector"] == "face")
    assert face["quality"]["face_px"] > 80
    before = service.wait_verdict(call, 4, 30)["seconds"]
    assert before["lost"] < 1
    assert call in {c["id"] for c in service.get("/api/v1/sources")}
    page.evaluate("window.pc.close()")
    wait_until(lambda: sfu.deleted, 20, "the end of the first session")
    assert sfu.deleted == ["/resource/1"]
    time.sleep(1)
    sfu.answer(page)
    service.wait_verdict(call, before["scored"] + 4, 30)
    after = service.verdict(call)["seconds"]
    assert after["lost"] >= 1
    assert set(after["lost_by_reason"]) <= {"idle", "reconnect", "network"}
    assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204
    assert len(sfu.deleted) == 2
    assert TOKEN not in service.process.said()


def test_refusals_are_problems_that_name_the_cause(service: Service, sfu: Sfu) -> None:
    cases = {
        (f"{sfu.url}/gone", TOKEN): "not_found",
        (f"{sfu.url}/whep/room", "wrong-one"): "unauthorized",
        (sfu.url.replace("+http:", "+https:"), TOKEN): "untrusted",
    }
    for (uri, token), reason in cases.items():
        answer = service.pull(uri, token=token)
        assert answer.status_code == 502, answer.text
        assert (answer.json()["field"], answer.json()["reason"]) == ("uri", reason)
        assert token not in answer.text
    for wrong in ({"uri": "whep://x/"}, {"uri": f"{sfu.url}/x", "token": "two words"}):
        refused = service.pull(**wrong)
        assert refused.status_code == 422
        assert "two words" not in refused.text
    assert "wrong-one" not in service.process.said()
