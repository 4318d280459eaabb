"""Alerts of real streams leave bundles that ordinary players open and that prove themselves."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import TOKEN, Service

SECONDS = 10.0
GROUP = 10.0
"""Seconds that the camera's key frames lie apart, at most."""
SETTINGS = f"""
[evidence]
record = [{{ ingest = "rtsp" }}, {{ ingest = "whip" }}]
tiers = ["alert"]
seconds = {SECONDS}
"""


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("keeping"), SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def camera(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    mount = Mount.of(recordings, SYNTHETIC, audio="opus", name="synthetic")
    with RtspServer([mount], tmp_path_factory.mktemp("camera")) as server:
        yield server.url("synthetic")


def bundle_of(service: Service, call: str, timeout: float = 45) -> dict[str, Any]:
    """The first bundle of a call, once there is one."""
    found: dict[str, Any] = wait_until(
        lambda: service.get("/api/v1/evidence", call=call)["bundles"], timeout, "a bundle", 0.5
    )[-1]
    return found


def download(service: Service, bundle: dict[str, Any], folder: Path) -> Path:
    path = folder / str(bundle["file"])
    path.write_bytes(service.http.get(bundle["href"]).raise_for_status().content)
    (folder / "signing.pub").write_text(service.get("/api/v1/evidence")["public_key"])
    return path


def verify(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "verify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def unpacked(bundle: Path, folder: Path) -> Path:
    """As anybody would: with tar."""
    folder.mkdir()
    subprocess.run(["tar", "-xf", bundle, "-C", folder], check=True)
    return folder


def check_players(media: Path, codecs: dict[str, str], longest: float) -> float:
    """ffprobe knows the codecs, ffmpeg decodes all, GStreamer finds the streams; the duration."""
    entries = "stream=codec_type,codec_name:format=duration"
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(media)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert {s["codec_type"]: s["codec_name"] for s in shown["streams"]} == codecs
    duration = float(shown["format"]["duration"])
    assert 3.0 < duration <= longest
    # What a player prints of a picture whose packets were lost is no fault of the file.
    played = subprocess.run(
        ["ffmpeg", "-v", "fatal", "-i", media, "-f", "null", "-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (played.returncode, played.stderr) == (0, "")
    found = subprocess.run(
        ["gst-discoverer-1.0", str(media)], capture_output=True, text=True, check=False
    ).stdout
    assert "container" in found, found
    for kind in codecs:
        assert f"{kind} #" in found, found
    return duration


def test_a_camera_that_alarms_leaves_its_own_packets(
    keeping: Service, camera: str, recordings: Recordings, tmp_path: Path
) -> None:
    answer = keeping.pull(camera, transport="tcp")
    assert answer.status_code == 201, answer.text
    bundle = bundle_of(keeping, answer.json()["id"])
    path = download(keeping, bundle, tmp_path)
    keeping.http.delete(f"/api/v1/sources/{answer.json()['id']}")
    checked = verify(path, "--key", tmp_path / "signing.pub")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    media = unpacked(path, tmp_path / "open") / "media.mkv"
    check_players(media, {"audio": "opus", "video": "h264"}, SECONDS + GROUP)
    film = recordings.film(SYNTHETIC, "h264", "opus", "mkv")
    for kind in ("audio", "video"):
        sent, kept = coded(film, kind), coded(media, kind)
        assert len(kept) > 20
        assert kept <= sent, f"{len(kept - sent)} of {len(kept)} {kind} packets are not the film's"
    alert = json.loads((tmp_path / "open" / "alert.json").read_text())
    assert (alert["call"], alert["tier"], alert["action"]) == (bundle["call"], "alert", "raised")


def coded(path: Path, kind: str) -> set[bytes]:
    """What was coded, without the parameter sets and delimiters that transports add."""
    with av.open(str(path), "r") as container:
        stream = next(s for s in container.streams if s.type == kind)
        whole = [bytes(packet) for packet in container.demux(stream) if packet.size]
    if kind == "audio":
        return set(whole)
    units: set[bytes] = set()
    for data in whole:
        at = 0
        while at + 4 < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            unit = data[at + 4 : at + 4 + size]
            if unit and unit[0] & 0x1F in (1, 5):
                units.add(unit.rstrip(b"\0"))
            at += 4 + size
    return units


def test_a_browser_that_alarms_leaves_what_it_sent_and_may_be_paused(
    keeping: Service, recordings: Recordings, tmp_path: Path
) -> None:
    microphone = recordings.voice(SYNTHETIC).wav48
    with Browser(tmp_path, microphone, recordings.camera()) as browser:
        page = browser.open(f"{keeping.url}/#token={TOKEN}")
        page.click("#start")
        page.wait_for_selector("body[data-call]")
        call = page.get_attribute("body", "data-call")
        assert call
        bundle = bundle_of(keeping, call)
        at = f"/api/v1/calls/{call}/participants/{bundle['participant']}"
        for _ in range(2):
            paused = keeping.http.post(f"{at}/pause", json={"reason": "payment"})
            assert paused.status_code == 200, paused.text
        state = keeping.verdict(call)["state"]
        wait_until(
            lambda: keeping.verdict(call)["seconds"]["lost_by_reason"].get("paused", 0) >= 3,
            20, "three paused seconds",
        )  # fmt: skip
        assert keeping.verdict(call)["state"] == state
        scored = keeping.verdict(call)["seconds"]["scored"]
        assert keeping.http.post(f"{at}/resume").status_code == 200
        keeping.wait_verdict(call, scored=scored + 2, timeout=30)
        page.click("#stop")
    path = download(keeping, bundle, tmp_path)
    checked = verify(path, "--key", tmp_path / "signing.pub")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    media = unpacked(path, tmp_path / "open") / "media.mkv"
    check_players(media, {"audio": "opus", "video": "vp8"}, 60.0)
    page_of = json.loads((tmp_path / "open" / "manifest.json").read_text())
    assert all(track["as_arrived"] for track in page_of["subject"]["clip"]["tracks"])


def test_a_full_disk_costs_no_live_second_and_evidence_follows_once_there_is_room(
    camera: str, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    settings = SETTINGS + f'folder = "{small}"\n'
    service = Service(tmp_path / "service", settings)
    # A disk of its own, seen by nobody else, with room for the journal and not for a clip.
    mount = f'mount -t tmpfs -o size=24k evidence {small} && exec "$@"'
    service.process.command = ["unshare", "-m", "sh", "-c", mount, "sh", *service.process.command]
    with service:
        call = service.pull(camera, transport="tcp").json()["id"]
        wait_until(
            lambda: service.get("/api/v1/evidence")["state"] == "degraded", 45, "the full disk"
        )
        state = service.get("/api/v1/evidence")
        assert state["detail"] == "No space left on device"
        assert state["bundles"] == []
        assert service.metrics()["monitor_evidence_degraded"] == 1
        before = service.verdict(call)["seconds"]["scored"]
        after = service.wait_verdict(call, scored=before + 5, timeout=30)
        assert after["seconds"]["lost"] < 1
        assert [a for a in service.alerts(call) if a["tier"] == "alert"]
        enter = ["nsenter", "-t", str(service.process.pid), "-m"]
        grow = [*enter, "mount", "-o", "remount,size=64m", str(small)]
        subprocess.run(grow, check=True)
        bundle = bundle_of(service, call)
        assert service.get("/api/v1/evidence")["state"] == "recording"
        assert service.metrics()["monitor_evidence_degraded"] == 0
        path = download(service, bundle, tmp_path)
    assert verify(path, "--key", tmp_path / "signing.pub").returncode == 0
