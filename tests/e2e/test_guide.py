"""Guides, followed as they stand: their commands in a shell, their function in a page."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import Process, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import TOKEN, Service

ROOT = Path(__file__).resolve().parents[2]


def steps() -> list[list[str]]:
    """The indented commands of each numbered step, each block as one script."""
    text = (ROOT / "docs/deployment.md").read_text()
    guide = text.partition("## Ten minutes\n")[2].partition("\n| dashboard")[0]
    return [
        [
            textwrap.dedent(block).strip("\n")
            for block in re.findall(r"(?:^(?: {7}.*)?\n)+", step, re.M)
            if block.strip()
        ]
        for step in re.split(r"^\d\. ", guide, flags=re.M)[1:]
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone after `make run`, as far as the guide's commands know it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/token").write_text(f"{TOKEN}\n")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    # A link would look for its packages beside itself.
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return tmp_path


def test_a_camera_and_a_call_centre_are_heard(
    service: Service, recordings: Recordings, folder: Path
) -> None:
    (export,), browser, (camera,), (telephone,), _ = steps()
    assert browser == []
    first = export.replace("http://127.0.0.1:8080", service.url)
    mount = Mount.of(recordings, SYNTHETIC, audio="opus", name="synthetic")
    player = Process(
        ["sh", "-ec", f"cd {folder}\n{first}\n" + telephone.replace("call.wav", "voice.wav")],
        folder / "player.log",
    )
    (folder / "voice.wav").symlink_to(recordings.voice(SYNTHETIC).wav16.absolute())
    with RtspServer([mount], folder / "rtsp") as cameras, player:
        url = cameras.url("synthetic")
        curl = camera.replace("rtsp://user:password@camera.example/stream", url)
        assert url in curl
        done = subprocess.run(
            ["sh", "-ec", f"{first}\n{curl}"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (pulled,) = service.get("/api/v1/sources")
        assert json.loads(done.stdout)["id"] == pulled["id"]
        wait_until(lambda: service.alerts(pulled["id"]), 60, "an alert of the camera", every=0.5)
        played = wait_until(lambda: find(service, "trial"), 20, "the played call")
        assert played is not None
        assert played["ingest"] == "freeswitch"
        wait_until(lambda: service.alerts(played["id"]), 60, "an alert of the call", every=0.5)


def test_the_function_for_pages_publishes(
    service: Service, recordings: Recordings, tmp_path: Path
) -> None:
    page_ = (ROOT / "docs/whip.md").read_text()
    (function,) = re.findall(r"^    async function publish.*?^    }\n", page_, re.M | re.S)
    with Browser(
        tmp_path, recordings.voice(SYNTHETIC).wav48, recordings.person_camera()
    ) as browser:
        page = browser.open(f"{service.url}/healthz")
        call = page.evaluate(
            f"""async ([monitor, token]) => {{
                {function}
                window.session = await publish(monitor, token, "page of mine");
                return window.session.call;
            }}""",
            [service.url, TOKEN],
        )
        wait_until(lambda: service.alerts(call), 60, "an alert", every=0.5)
        (participant,) = service.call(call)["participants"]
        assert participant["name"] == "page of mine"
        assert participant["audio"]
        assert participant["video"]
        page.evaluate("window.session.end()")
        wait_until(lambda: service.call(call)["ended"], 15, "the end")
        refused = page.evaluate(
            f"""async (monitor) => {{
                {function}
                return publish(monitor, "wrong", "me").catch((error) => error.message);
            }}""",
            service.url,
        )
        assert refused == "Authorization: unknown token"


def find(service: Service, label: str) -> dict[str, Any] | None:
    return next((c for c in service.get("/api/v1/calls") if c["label"] == label), None)


def test_the_settings_of_the_guide_are_taken(tmp_path: Path) -> None:
    *_, (install, settings) = steps()
    for path in re.findall(r"deploy/\S+\.yml", install):
        assert (ROOT / path).is_file(), path
    written, _, served = settings.rpartition("\n")
    subprocess.run(["sh", "-ec", written], cwd=tmp_path, check=True)
    assert served == ".venv/bin/deepfake-monitor serve --settings monitor.toml"
    command = [sys.executable, "-m", "monitor", "models", "verify"]
    command += ["--settings", str(tmp_path / "monitor.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[[alertmanagers]]" in (tmp_path / "monitor.toml").read_text()
