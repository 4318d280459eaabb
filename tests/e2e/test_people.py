"""Real people before the camera: alone, in a group, away, on a phone that is turned around."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CUES, HUMAN
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

pytestmark = pytest.mark.timeout(240)

PUBLISH = """async (token) => {
  const media = await navigator.mediaDevices.getUserMedia({
    audio: true, video: { width: 640, height: 480 } });
  const film = document.createElement("video");
  film.srcObject = media; film.muted = true; await film.play();
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const stage = { width: 640, height: 480, shown: true };
  window.stage = stage;
  setInterval(() => {
    if (canvas.width !== stage.width || canvas.height !== stage.height) {
      canvas.width = stage.width; canvas.height = stage.height;
    }
    pen.fillStyle = "#345"; pen.fillRect(0, 0, canvas.width, canvas.height);
    if (!stage.shown) return;
    // As a phone does: all of the height stays, the sides are cut when it stands upright.
    const scale = Math.max(stage.width / 640, stage.height / 480);
    pen.drawImage(film, (stage.width - 640 * scale) / 2, (stage.height - 480 * scale) / 2,
                  640 * scale, 480 * scale);
  }, 40);
  const pc = new RTCPeerConnection();
  const picture = canvas.captureStream(25).getVideoTracks()[0];
  pc.addTransceiver(media.getAudioTracks()[0], { direction: "sendonly" });
  pc.addTransceiver(picture, { direction: "sendonly" });
  window.publication = { pc, picture };
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    setTimeout(done, 2000);
  });
  const answer = await fetch("/whip?participant=person", {
    method: "POST", body: pc.localDescription.sdp,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" } });
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return answer.headers.get("X-Call-Id");
}"""


def windows(path: Path) -> list[dict[str, Any]]:
    """What `score` says of a recording's windows."""
    command = [sys.executable, "-m", "monitor", "score", "--format", "jsonl", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return [r for r in map(json.loads, done.stdout.splitlines()) if r["type"] == "window"]


def of(found: list[dict[str, Any]], detector: str) -> list[dict[str, Any]]:
    return [w for w in found if w["detector"] == detector]


@contextmanager
def heard(service: Service, call: str) -> Iterator[list[dict[str, Any]]]:
    """The call's windows, as the event stream tells of them."""
    found: list[dict[str, Any]] = []

    def read() -> None:
        with service.events(call) as events:
            for kind, record in events:
                if kind == "window":
                    found.append(record)
                if kind == "call" and record.get("state") == "ended":
                    return

    reader = threading.Thread(target=read)
    reader.start()
    yield found
    reader.join(30)
    assert not reader.is_alive()


def accounted(found: list[dict[str, Any]]) -> None:
    """Windows follow one another without a hole."""
    for before, after in zip(found, found[1:], strict=False):
        assert after["start"] <= before["end"] + 1e-6
        assert after["end"] > before["end"]


def test_a_person_is_judged_and_every_cue_says_what_it_could_measure(
    recordings: Recordings,
) -> None:
    found = windows(recordings.person(HUMAN, 18))
    faces = of(found, "face")
    scored = [w for w in faces if "llr" in w]
    assert len(scored) > len(faces) / 2
    for window in scored:
        assert window["details"]["crops"] >= 1
        assert window["quality"]["face_px"] > 80
        assert window["quality"]["bits_per_pixel"] > 0
    assert {w["detector"] for w in found} == {"voice", "face", *CUES}
    for cue in CUES:
        said = of(found, cue)
        accounted(said)
        assert said[-1]["end"] == pytest.approx(18, abs=0.3)
        assert not [w for w in said if w.get("abstained") == "fault"]


def test_nobody_is_judged_where_nobody_is(recordings: Recordings) -> None:
    found = windows(recordings.nobody())
    reasons = {w["abstained"] for w in found if w["detector"] in {"face", *CUES}}
    assert reasons == {"no_face"}


def test_further_people_in_the_picture_are_seen_and_judged(recordings: Recordings) -> None:
    found = [w for w in of(windows(recordings.group(8)), "face") if "llr" in w]
    assert found
    assert max(w["quality"]["faces"] for w in found) >= 3
    assert any("logit_face_2" in w["details"] for w in found)


def test_a_browser_whose_picture_turns_shrinks_pauses_and_comes_back(
    service: Service, recordings: Recordings, artifacts: Path
) -> None:
    microphone = recordings.voice(HUMAN).wav48
    with Browser(artifacts, microphone, recordings.person_camera()) as browser:
        page = browser.open(f"{service.url}/#token={TOKEN}")
        call = page.evaluate(PUBLISH, TOKEN)
        assert call
        marks = {}

        def stage(name: str, script: str, seconds: float) -> None:
            page.evaluate(script)
            begin = service.verdict(call).get("time", 0.0)
            page.wait_for_timeout(seconds * 1000)
            marks[name] = (begin + 1.5, service.verdict(call)["time"])

        with heard(service, call) as found:
            wait_until(lambda: of(found, "face"), 20, "the first window", every=0.5)
            stage("landscape", "1", 6)
            stage("upright", "Object.assign(stage, {width: 480, height: 640})", 7)
            stage("small", "Object.assign(stage, {width: 320, height: 240})", 7)
            stage("away", "Object.assign(stage, {width: 640, height: 480, shown: false})", 8)
            stage("back", "stage.shown = true", 8)
            page.evaluate("publication.pc.close()")
            wait_until(lambda: service.call(call)["ended"], 45, "the end of the call")

    def between(name: str) -> list[dict[str, Any]]:
        start, end = marks[name]
        inside = [w for w in of(found, "face") if w["start"] >= start and w["end"] <= end + 1]
        assert inside, (name, marks)
        return inside

    for name in ("landscape", "upright", "back"):
        assert any("llr" in w for w in between(name)), between(name)
    # A window still holds what was seen just before.
    hidden = [w for w in between("away") if w["end"] <= marks["away"][1]]
    assert hidden[-1]["abstained"] == "no_face", hidden
    assert {w.get("abstained", "scored") for w in between("small")} <= {"scored", "face_too_small"}
    accounted(of(found, "face"))
    assert not [w for w in found if w.get("abstained") == "fault"]
    sizes = [w["quality"].get("face_px") for w in of(found, "face")]
    assert len({round(size / 20) for size in sizes if size}) > 1
    assert not browser.errors
