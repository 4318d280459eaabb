"""A package of one's own, installed as its users do: detector, source and destination at work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.process import Process, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the example package was installed; the service finds it there."""
    folder = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    install += ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    subprocess.run([*install, str(EXAMPLES / "extension")], check=True, timeout=120)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    return folder


def test_a_package_of_ones_own_listens_sends_and_is_told(
    recordings: Recordings, tmp_path: Path, installed: Path
) -> None:
    assert (installed / "deepfake_monitor_example").is_dir()
    told = tmp_path / "alerts.jsonl"
    settings = f"""
[extensions]
detectors = ["monotony"]
sources = ["tone"]
[[custom]]
name = "desk"
kind = "lines"
options = {{ path = "{told}" }}
[[sources]]
uri = "tone:440"
label = "test tone"
"""
    with Service(tmp_path, settings) as service:
        sender = Process(
            [
                sys.executable, str(EXAMPLES / "send_recording.py"),
                str(recordings.voice(SYNTHETIC).wav16), service.url.replace("http", "ws", 1),
            ],
            tmp_path / "sender.log",
            env={**os.environ, "TOKEN": TOKEN},
        )  # fmt: skip
        sender.start()
        try:
            wait_until(told.exists, 120, "an alert in the file")
        finally:
            sender.stop()
        alert = json.loads(told.read_text().splitlines()[0])
        assert (alert["action"], alert["type"]) == ("raised", "voice")
        heard = 'monitor_windows_total{detector="monotony",outcome="scored"}'
        assert service.metrics()[heard] >= 1
        wait_until(
            lambda: any(c["label"] == "test tone" for c in service.get("/api/v1/calls")),
            30,
            "the call of the tone",
        )


def test_what_no_package_has_is_named_at_the_start(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'state_dir = "{tmp_path}"\n[extensions]\ndetectors = ["monotony"]\n')
    command = [sys.executable, "-m", "monitor", "serve", "--port", "0", "--settings", str(settings)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert "extensions.detectors: 'monotony': no installed package" in ended.stderr
