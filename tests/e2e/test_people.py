"""Real people before the camera: alone, in a group, away, on a phone that is turned around."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CUES, HUMAN
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

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
  // A busy encoder may drop pictures, not make them smaller: their size is what is tested.
  picture.contentHint = "detail";
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


SHOW = "[stage.width, stage.height] = [{}]"
"""Script that changes the size of the picture."""


def windows(path: Path) -> list[dict[str, Any]]:
    """What `score` says of a recording's windows."""
    command = [sys.executable, "-m", "monitor", "score", "--format", "jsonl", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
        widths: dict[str, float] = {}

        with heard(service, call) as found:

            def stage(name: str, script: str, reached: Callable[[dict[str, Any]], bool]) -> None:
                """Change the picture and wait for a window that shows it.

                How soon one does depends on the machine: encoder and bit rate adapt first.
                """
                begin = max((w["end"] for w in of(found, "face")), default=0.0)
                page.evaluate(script)

                def shown() -> list[dict[str, Any]]:
                    later = (w for w in of(found, "face") if w["start"] >= begin)
                    return [w for w in later if reached(w)]

                try:
                    window = wait_until(shown, 40, name, every=0.5)[0]
                except TimeoutError:
                    pytest.fail(f"{name}: {widths} {of(found, 'face')[-5:]}")
                widths[name] = window["quality"].get("face_px", 0.0)

            def between(least: float, most: float) -> Callable[[dict[str, Any]], bool]:
                def fits(window: dict[str, Any]) -> bool:
                    width: float = window["quality"].get("face_px", 0.0)
                    return least <= width / widths["landscape"] <= most

                return fits

            def judged(window: dict[str, Any]) -> bool:
                return "llr" in window

            turned, large, small = between(1.15, 2), between(0.85, 1.1), between(0.3, 0.7)
            stage("landscape", "1", judged)
            stage("upright", SHOW.format("480, 640"), lambda w: judged(w) and turned(w))
            stage("small", SHOW.format("320, 240"), small)
            stage("away", "stage.shown = false", lambda w: w.get("abstained") == "no_face")
            page.evaluate(SHOW.format("640, 480"))
            stage("back", "stage.shown = true", lambda w: judged(w) and large(w))
            page.evaluate("publication.pc.close()")
            wait_until(lambda: service.call(call)["ended"], 45, "the end of the call")

    # "too_short": the picture changed before a crop of that window was due.
    seen_small = {w.get("abstained", "judged") for w in of(found, "face") if small(w)}
    assert seen_small <= {"judged", "face_too_small", "too_short"}
    accounted(of(found, "face"))
    assert not [w for w in found if w.get("abstained") == "fault"]
    assert not browser.errors
