"""Cameras are pulled, decided on like their recordings, and pulled again when they go away."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.film import AudioCodec
from tests.e2e.rig.process import free_port, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import Service

VOICES: dict[str, tuple[str, AudioCodec]] = {
    "human": (HUMAN, "pcmu"),
    "synthetic": (SYNTHETIC, "opus"),
    "telephone": (SYNTHETIC, "pcmu"),
}
"""Cameras by name: who speaks, through which codec."""


@pytest.fixture(scope="module")
def cameras(
    recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RtspServer]:
    mounts = [
        *(Mount.of(recordings, voice, audio=codec, name=n) for n, (voice, codec) in VOICES.items()),
        Mount.of(recordings, HUMAN, name="endless", loop=True),
        Mount.of(recordings, HUMAN, audio=None, name="silent", loop=True),
    ]
    with RtspServer(mounts, tmp_path_factory.mktemp("cameras")) as server:
        yield server


def score(path: str) -> list[dict[str, Any]]:
    """What the command line says about a recording."""
    result = subprocess.run(
        [sys.executable, "-m", "monitor", "score", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_camera_is_decided_on_like_its_recording(
    service: Service, cameras: RtspServer, recordings: Recordings
) -> None:
    calls: dict[str, str] = {}
    windows: dict[str, list[dict[str, Any]]] = {name: [] for name in VOICES}
    with service.events() as events:
        for name in VOICES:
            answer = service.pull(cameras.url(name), participant=name, transport="tcp")
            assert answer.status_code == 201, answer.text
            calls[answer.json()["id"]] = name
        deadline = time.monotonic() + 90
        for kind, data in events:
            if kind == "window" and data["detector"] == "voice" and data["call"] in calls:
                windows[calls[data["call"]]].append(data)
            if all(w and w[-1]["end"] >= 45 for w in windows.values()):
                break
            assert time.monotonic() < deadline
    lines = {
        name: score(str(recordings.film(voice, "h264", codec, "mkv")))
        for name, (voice, codec) in VOICES.items()
    }
    scores = {
        name: {w["end"]: w["score"] for w in found if w.get("detector") == "voice" and "llr" in w}
        for name, found in lines.items()
    }
    corrected = sum(
        v for k, v in service.metrics().items() if "monitor_corrected_seconds_total" in k
    )
    apart = mean(scores["synthetic"].values()) - mean(scores["human"].values())
    for call, name in calls.items():
        codec, recorded, replayed = VOICES[name][1], lines[name], scores[name]
        live = {w["end"]: w["score"] for w in windows[name] if "llr" in w}
        both = sorted(live.keys() & replayed.keys())
        assert len(both) >= 35
        difference = np.array([live[t] - replayed[t] for t in both])
        # RTP does not say how much of an Opus stream's start is padding, and a stream's first
        # samples need not be the file's: windows lie a few milliseconds apart. Single scores move,
        # their mean hardly, against what lies between a human and a synthetic voice.
        assert abs(difference.mean()) < 0.1 * apart
        # A server that is late on a busy machine has its sound brought back to the wall.
        if codec == "pcmu" and not corrected:
            assert np.median(np.abs(difference)) < 0.05
        tiers = {a["tier"] for a in service.alerts(call) if a["action"] == "raised"}
        verdict = recorded[-1]
        assert (verdict["tier"] in tiers) if verdict["tier"] else not tiers
        assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204
        assert service.call(call)["ended"] == "stopped"
    raised = {calls[a["call"]]: a for a in service.get("/api/v1/alerts") if a["tier"] == "alert"}
    assert "human" not in raised
    first = next(
        a for c, n in calls.items() if n == "synthetic"
        for a in service.alerts(c) if a["tier"] == "alert"
    )  # fmt: skip
    assert first["action"] == "raised"
    assert first["verdict"]["seconds"]["scored"] <= 30


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("fate", ["killed", "frozen"])
def test_a_server_that_goes_away_is_noticed_and_pulled_again(
    service: Service, recordings: Recordings, tmp_path: Path, transport: str, fate: str
) -> None:
    mount = Mount.of(recordings, HUMAN, name="endless", loop=True)
    with RtspServer([mount], tmp_path) as server:
        answer = service.pull(server.url("endless"), transport=transport)
        assert answer.status_code == 201, answer.text
        call = answer.json()["id"]
        before = service.wait_verdict(call, scored=4, timeout=30)["seconds"]["scored"]
        if fate == "killed":
            server.kill()
        else:
            server.freeze()
        wait_until(
            lambda: [r for r in service.log("source connection lost")
                     + service.log("source connection failed") if str(server.port) in r["uri"]],
            20, "the loss in the log",
        )  # fmt: skip
        wait_until(lambda: service.verdict(call)["seconds"]["lost"] > 0, 20, "lost seconds")
        assert service.call(call)["ended"] is None
        if fate == "killed":
            server.start()
        else:
            server.thaw()
        service.wait_verdict(call, scored=before + 6, timeout=60)
        seconds = service.verdict(call)["seconds"]
        assert seconds["lost"] >= 1
        assert set(seconds["lost_by_reason"]) <= {"idle", "reconnect", "network"}
        assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204


def test_a_camera_without_sound_is_named_and_its_face_is_followed(
    service: Service, cameras: RtspServer
) -> None:
    answer = service.pull(cameras.url("silent"))
    assert answer.status_code == 201, answer.text
    call = answer.json()["id"]
    wait_until(lambda: [r for r in service.log("no audio") if r["call"] == call], 10, "a log event")
    with service.events(call) as events:
        window = next(d for k, d in events if k == "window" and d["detector"] == "face")
    assert "llr" in window
    assert window["quality"]["face_px"] > 80
    assert service.http.delete(f"/api/v1/sources/{call}").status_code == 204


def test_bad_sources_are_problems_that_name_the_cause(
    service: Service, cameras: RtspServer, recordings: Recordings, tmp_path: Path
) -> None:
    endless = service.pull(cameras.url("endless"))
    assert endless.status_code == 201
    call = endless.json()["id"]
    mount = Mount.of(recordings, HUMAN, name="locked", loop=True)
    with RtspServer([mount], tmp_path, user="bob", password="p@ss word") as locked:
        wrong = locked.url("locked").replace("word", "xxxx")
        cases = {
            f"rtsp://127.0.0.1:{free_port()}/cam": "unreachable",
            cameras.url("endless").replace("endless", "nowhere"): "not_found",
            wrong: "unauthorized",
            locked.url("locked", credentials=False): "unauthorized",
        }
        for uri, reason in cases.items():
            answer = service.pull(uri)
            assert answer.status_code == 502, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.json()["field"], answer.json()["reason"]) == ("uri", reason)
        right = service.pull(locked.url("locked"))
        assert right.status_code == 201, right.text
        service.http.delete(f"/api/v1/sources/{right.json()['id']}")
    assert service.pull("http://127.0.0.1/").status_code == 422
    assert "p@ss" not in service.process.said()
    assert "p%40ss" not in service.process.said()
    scored = service.wait_verdict(call, scored=4, timeout=30)["seconds"]
    assert scored["lost"] == 0
    service.http.delete(f"/api/v1/sources/{call}")
