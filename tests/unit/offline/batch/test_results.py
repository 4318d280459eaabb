"""Results that are kept come back as they were, or not at all; folders are searched alike."""

import os
from pathlib import Path
from typing import Any

import pytest

from monitor.offline.batch.recordings import NoRecordingError, recordings
from monitor.offline.batch.results import Results

RECORDS: list[dict[str, Any]] = [
    {"score": 0.1 + 0.2, "name": "ü\n"},
    {"llr": None, "nested": {"a": [1, 2.0]}},
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    path.write_bytes(b"sound")
    return path


def test_what_was_kept_is_found(tmp_path: Path, recording: Path) -> None:
    results = Results(tmp_path / "deep" / "results", "these models")
    assert results.find(recording) is None
    results.keep(recording, RECORDS)
    assert results.find(recording) == RECORDS
    assert Results(tmp_path / "deep" / "results", "these models").find(recording) == RECORDS


def test_what_changed_is_not_found(tmp_path: Path, recording: Path) -> None:
    results = Results(tmp_path / "results", "these models")
    assert results.find(recording) is None
    results.keep(recording, RECORDS)
    assert Results(tmp_path / "results", "other models").find(recording) is None
    os.utime(recording, ns=(1, 1))
    assert results.find(recording) is None
    results.keep(recording, RECORDS[:1])
    assert results.find(recording) == RECORDS[:1]
    recording.write_bytes(b"more sound")
    os.utime(recording, ns=(1, 1))
    assert results.find(recording) is None


def test_a_recording_that_grows_meanwhile_is_looked_at_again(
    tmp_path: Path, recording: Path
) -> None:
    results = Results(tmp_path / "results", "these models")
    assert results.find(recording) is None
    recording.write_bytes(b"sound that is still written")
    results.keep(recording, RECORDS)
    assert results.find(recording) is None


@pytest.mark.parametrize("cut", [0, 1, 30, -1])
def test_half_a_file_is_none(tmp_path: Path, recording: Path, cut: int) -> None:
    results = Results(tmp_path / "results", "these models")
    assert results.find(recording) is None
    results.keep(recording, RECORDS)
    (place,) = (tmp_path / "results").iterdir()
    whole = place.read_bytes()
    # Without its last line feed all is still there.
    place.write_bytes(whole[:cut])
    assert results.find(recording) == (RECORDS if cut == -1 else None)


def test_recordings_of_one_name_are_apart(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", "these models")
    paths = [tmp_path / name / f"{'ü' * 80}.wav" for name in "ab"]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_bytes(b"sound")
        assert results.find(path) is None
        results.keep(path, [{"number": number}])
    assert [results.find(path) for path in paths] == [[{"number": 0}], [{"number": 1}]]


def test_folders_are_searched_in_order_and_to_the_bottom(tmp_path: Path) -> None:
    names = ["b.WAV", "a.mp3", "deep/er/c.ulaw", "deep/d.amr", ".e.wav", ".deep/f.wav", "g.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    named = tmp_path / "g.txt"
    found = recordings([named, tmp_path])
    inside = ["a.mp3", "b.WAV", "deep/d.amr", "deep/er/c.ulaw"]
    assert found == [named, *(tmp_path / name for name in inside)]
    with pytest.raises(NoRecordingError, match=r"folder\.wav: no recording"):
        recordings([tmp_path / "folder.wav"])
