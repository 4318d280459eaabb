"""`deepfake-monitor bench --smoke`: every way of calling works; figures are not looked at."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings


@pytest.mark.parametrize("kind", ["voice-websocket", "av-rtsp", "av-webrtc"])
def test_a_smoke_run_hears_every_window_of_its_call(
    kind: str, recordings: Recordings, tmp_path: Path
) -> None:
    film = recordings.person("human-en", 18)
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "bench", "--smoke", "--no-naive", "--kinds", kind]
        + ["--film", str(film), "--out", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "bench.json").read_text())["results"][0]
    trial = result["trials"][0]
    assert trial["calls"] == 1
    assert trial["windows"] >= (2 if kind == "voice-websocket" else 4)
    assert trial["cost"] > 0
    assert result["floor_cost"] > 0
    assert not [words for words in trial["broken"] if "lost" in words or "taken" in words]
    assert trial["stages"]["voice"] > 0
    if kind != "voice-websocket":
        assert trial["stages"]["face"] > 0
    ElementTree.parse(tmp_path / "bench.svg")
    assert result["title"] in done.stdout


def test_a_film_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    film = tmp_path / "notes.txt"
    film.write_text("no film")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "bench", "--film", str(film), "--out", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "notes.txt: Invalid data found" in done.stderr


def test_who_ends_it_is_not_left_with_its_processes(recordings: Recordings, tmp_path: Path) -> None:
    film = recordings.person("human-en", 18)
    bench = subprocess.Popen(
        [sys.executable, "-m", "monitor", "bench", "--no-naive", "--kinds", "voice-websocket"]
        + ["--film", str(film), "--out", str(tmp_path)]
    )  # fmt: skip

    def children() -> list[str]:
        return Path(f"/proc/{bench.pid}/task/{bench.pid}/children").read_text().split()

    started = wait_until(
        lambda: found if len(found := children()) >= 2 else [], 60, "its processes"
    )
    bench.send_signal(signal.SIGTERM)
    assert bench.wait(30) == 128 + signal.SIGTERM
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
