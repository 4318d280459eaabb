"""`score` of many recordings prints what each one alone comes to, however it is shared out."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor import Monitor, open_monitor
from tests.recordings import humming, write_wav


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    write_wav(folder / "b.wav", humming(9.0, seed=1))
    write_wav(folder / "d.wav", humming(5.0, seed=2, rate=8_000), rate=8_000)
    (folder / "deep").mkdir()
    write_wav(folder / "deep" / "e.wav", humming(4.0, seed=3))
    (folder / "a.wav").write_text("no recording\n")
    (folder / "c.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("no recording, and not named like one\n")
    return folder


def one_by_one(monitor: Monitor, folder: Path, names: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in names:
        scores = monitor.score(folder / name)
        found += json.loads(json.dumps([*scores.windows, *scores.verdicts]))
    return found


def score(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [sys.executable, "-m", "monitor", "score", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr


@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_folder_is_its_files_one_by_one(folder: Path, processes: str) -> None:
    with open_monitor() as monitor:
        expected = one_by_one(monitor, folder, ["b.wav", "d.wav", "deep/e.wav"])
    code, records, errors = score(str(folder), "--processes", processes)
    assert code == 2
    assert records == expected
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1].strip() for line in said] == ["a.wav", "c.mp4"]


def test_what_is_there_is_not_made_again(folder: Path, tmp_path: Path) -> None:
    calls, kept = tmp_path / "calls", tmp_path / "kept"
    calls.mkdir()
    for name in ("b.wav", "d.wav"):
        shutil.copy(folder / name, calls)
    first = score(str(calls), "--results", str(kept))
    assert first[0] == 0
    assert first[1]
    places = sorted(kept.iterdir())
    assert [place.name[:2] for place in places] == ["b-", "d-"]
    # One was broken off; of the other it shows whether it was read or made again.
    places[1].unlink()
    text = places[0].read_text()
    places[0].write_text(text.replace('"ended": "ended"', '"ended": "kept"'))
    _, records, _ = score(str(calls), "--results", str(kept))
    ends = [(r["file"][-5:], r["ended"]) for r in records if r["type"] == "verdict"]
    assert ends == [("b.wav", "kept"), ("d.wav", "ended")]
    # Heard otherwise they are other results.
    _, records, _ = score(str(calls), "--results", str(kept), "--channels", "left")
    assert [r["ended"] for r in records if r["type"] == "verdict"] == ["ended", "ended"]


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    code, records, errors = score(str(tmp_path))
    assert (code, records) == (2, [])
    assert errors == f"error: {tmp_path}: no recording in this folder\n"


def test_results_that_cannot_be_kept_are_told(folder: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    code, records, errors = score(str(folder / "b.wav"), "--results", str(taken))
    assert (code, records) == (2, [])
    assert errors.startswith(f"error: --results: {taken}: ")


def test_a_reader_that_has_enough_ends_it_quietly(folder: Path) -> None:
    command = f"{sys.executable} -m monitor score {folder / 'b.wav'} {folder / 'd.wav'} | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["start"] == 0.0
    assert ran.stderr == ""
