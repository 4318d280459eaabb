"""Demonstration pages: rules, caps and the manifest, on a tiny repository made here."""

import csv
import subprocess
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from monitor.training.data import pages
from monitor.training.data.pages import build, candidates, extract, load_pages, measure

RULES = """
[[page]]
source = "owner/demo"
commit = "HEAD"
licence = "MIT"
language = "en"
names = { fs = "FastSpeech" }
[[page.clips]]
match = 'gt/broken_.*\\.wav'
label = "drop"
[[page.clips]]
match = 'gt/(?P<speaker>\\w+)_\\d+\\.wav'
label = "bonafide"
speaker = "{speaker}"
[[page.clips]]
match = '(?P<generator>fs|vits)/.*\\.wav'
label = "spoof"
generator = "{generator}"
family = "neural_tts"
speaker = "LJ"
[[page.clips]]
match = '.*\\.wav'
label = "spoof"
generator = "last resort"
family = "neural_tts"
"""


def tone(path: Path, pitch: float, seconds: float = 1.2, rate: int = 8_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 8_000 * np.sin(np.arange(int(seconds * rate)) * pitch / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "pages.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    clone = tmp_path / "clones" / "owner+demo"
    for number in range(6):
        tone(clone / f"gt/ann_{number}.wav", 100 + number)
        tone(clone / f"fs/{number}.wav", 200 + number)
        tone(clone / f"vits/{number}.wav", 300 + number)
    tone(clone / "gt/bob_0.wav", 400)
    tone(clone / "gt/broken_0.wav", 401)
    tone(clone / "other/copy.wav", 200)  # the same file as fs/0.wav
    tone(clone / "other/contested.wav", 105)  # the same file as gt/ann_5.wav, a bona fide clip
    tone(clone / "other/short.wav", 500, seconds=0.4)
    (clone / "other/noise.wav").write_bytes(b"not audio")
    (clone / "index.html").write_text("<html>")
    commit(clone)
    return tmp_path / "clones"


def commit(clone: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "demo"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(clone), *identity, *arguments], check=True)


def read(out: Path) -> list[dict[str, str]]:
    with (out / pages.MANIFEST).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_first_rule_that_fits_decides(rules: Path) -> None:
    blobs = {"gt/ann_1.wav": "a", "gt/broken_1.wav": "b", "fs/1.wav": "c", "x/1.wav": "d"}
    found = {clip.path: clip for clip in candidates(load_pages(rules)[0], blobs)}
    assert sorted(found) == ["fs/1.wav", "gt/ann_1.wav", "x/1.wav"]
    assert found["gt/ann_1.wav"].label == "bonafide"
    assert found["gt/ann_1.wav"].texts["speaker"] == "ann"
    assert found["fs/1.wav"].texts["generator"] == "FastSpeech"
    assert found["x/1.wav"].texts["generator"] == "last resort"


def test_identical_files_count_once_and_contested_ones_not_at_all(rules: Path) -> None:
    blobs = {"fs/1.wav": "a", "vits/1.wav": "a", "gt/ann_1.wav": "b", "x/1.wav": "b"}
    assert [clip.path for clip in candidates(load_pages(rules)[0], blobs)] == ["fs/1.wav"]


def test_manifest(rules: Path, clones: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(load_pages(rules), clones, out)
    rows = read(out)
    paths = {row["path"] for row in rows}
    assert len(rows) == 18
    assert "owner+demo/gt/ann_5.wav" not in paths
    assert not any("other" in path or "broken" in path for path in paths)
    assert tuple(rows[0]) == pages.COLUMNS
    bob = next(row for row in rows if row["speaker"] == "bob")
    assert (bob["label"], bob["generator"], bob["language"]) == ("bonafide", "human", "en")
    assert (bob["orig_sample_rate"], bob["duration_s"]) == ("8000", "1.2")
    assert bob["orig_codec"] == "wav/pcm_s16le"
    original = clones / "owner+demo/gt/bob_0.wav"
    assert (out / bob["path"]).read_bytes() == original.read_bytes()


def test_other_pages_keep_their_lines(rules: Path, clones: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(load_pages(rules), clones, out)
    (clones / "owner+demo").rename(clones / "owner+second")
    rules.write_text(RULES.replace("owner/demo", "owner/second"), encoding="utf-8")
    build(load_pages(rules), clones, out)
    build(load_pages(rules), clones, out)
    sources = [row["source"] for row in read(out)]
    assert (sources.count("owner/demo"), sources.count("owner/second")) == (18, 18)


def test_a_missing_clone_is_skipped(rules: Path, tmp_path: Path) -> None:
    build(load_pages(rules), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_caps_are_fair_and_repeatable(
    rules: Path, clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CAPS", {"spoof": 6, "bonafide": 3})
    monkeypatch.setattr(pages, "PER_GENERATOR", 2)
    page, clone = load_pages(rules)[0], clones / "owner+demo"
    rows = extract(page, clone, tmp_path / "one")
    assert rows == extract(page, clone, tmp_path / "two")
    generators = [row["generator"] for row in rows if row["label"] == "spoof"]
    assert sorted(generators) == ["FastSpeech"] * 2 + ["vits"] * 2
    speakers = [row["speaker"] for row in rows if row["label"] == "bonafide"]
    assert sorted(speakers) == ["ann", "ann", "bob"]


def test_a_single_generator_may_fill_the_page(
    rules: Path, clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PER_GENERATOR", 2)
    rules.write_text(RULES.replace("fs|vits", "fs").replace("'.*\\.wav'", "'no'"))
    rows = extract(load_pages(rules)[0], clones / "owner+demo", tmp_path / "out")
    assert sum(row["label"] == "spoof" for row in rows) == 6


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("'.*\\.wav'", "'(.*\\.wav'", "owner/demo: bad pattern"),
        ('label = "drop"', 'label = "fake"', "owner/demo: .* lacks its label"),
        ('generator = "last resort"\n', "", "owner/demo: .* lacks its label, generator"),
    ],
)
def test_a_bad_rule_names_its_page(rules: Path, before: str, after: str, message: str) -> None:
    rules.write_text(RULES.replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_pages(rules)


def test_measure_refuses_what_is_no_sound() -> None:
    assert measure(b"") == {}
    assert measure(b"<html>") == {}


def test_the_committed_rules_are_well_formed() -> None:
    found = load_pages()
    assert len({page.source for page in found}) == len(found)
    assert all(len(page.commit) == 40 for page in found)


LONG = """
[[page]]
source = "owner/calls"
commit = "HEAD"
licence = "MIT"
language = "tr"
[[page.clips]]
match = 'calls/.*\\.wav'
label = "bonafide"
speaker = "caller"
pieces = 3
[[page.clips]]
match = 'uncut/.*\\.wav'
label = "bonafide"
"""


def test_a_long_recording_is_cut_where_its_rule_says_so(tmp_path: Path) -> None:
    clone = tmp_path / "clones" / "owner+calls"
    tone(clone / "calls/long.wav", 100, seconds=100)
    tone(clone / "calls/fair.wav", 110, seconds=5)
    tone(clone / "calls/less.wav", 120, seconds=31)
    tone(clone / "uncut/long.wav", 130, seconds=40)
    commit(clone)
    (tmp_path / "pages.toml").write_text(LONG, encoding="utf-8")
    build(load_pages(tmp_path / "pages.toml"), tmp_path / "clones", tmp_path / "out")
    rows = {row["path"].removeprefix("owner+calls/calls/"): row for row in read(tmp_path / "out")}
    long = [f"long.wav.{number}.wav" for number in range(3)]
    less = [f"less.wav.{number}.wav" for number in range(2)]
    assert sorted(rows) == sorted(["fair.wav", *long, *less])
    assert rows["fair.wav"]["duration_s"] == "5.0"
    for name in (*long, *less):
        assert (rows[name]["duration_s"], rows[name]["speaker"]) == (str(pages.PIECE), "caller")
        with wave.open(str(tmp_path / "out" / rows[name]["path"])) as file:
            assert file.getnframes() == pages.PIECE * file.getframerate() == pages.PIECE * 8_000
    with wave.open(str(clone / "calls/long.wav")) as file:
        samples = file.readframes(file.getnframes())
    with wave.open(str(tmp_path / "out" / rows[long[-1]]["path"])) as file:
        assert file.readframes(file.getnframes()) == samples[-int(2 * pages.PIECE * 8_000) :]


def test_a_page_of_humans_alone_may_give_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CAPS", {pages.BONAFIDE: 2, pages.SPOOF: 2})
    monkeypatch.setattr(pages, "HUMANS_ALONE", 3)
    clone = tmp_path / "clones" / "owner+calls"
    for number in range(5):
        tone(clone / f"calls/{number}.wav", 100 + number)
    commit(clone)
    (tmp_path / "pages.toml").write_text(LONG, encoding="utf-8")
    build(load_pages(tmp_path / "pages.toml"), tmp_path / "clones", tmp_path / "out")
    assert len(read(tmp_path / "out")) == 3


def test_a_page_may_give_several_times_as_much(
    rules: Path, clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CAPS", {pages.BONAFIDE: 2, pages.SPOOF: 3})
    monkeypatch.setattr(pages, "PER_GENERATOR", 2)
    rules.write_text(RULES.replace('commit = "HEAD"', 'commit = "HEAD"\ntimes = 2'))
    build(load_pages(rules), clones, tmp_path / "out")
    generators = Counter(row["generator"] for row in read(tmp_path / "out"))
    assert generators == {"human": 4, "FastSpeech": 3, "vits": 3}


@pytest.mark.parametrize("pieces", ['"3"', "-1", "2.5"])
def test_pieces_are_counted(tmp_path: Path, pieces: str) -> None:
    (tmp_path / "pages.toml").write_text(LONG.replace("pieces = 3", f"pieces = {pieces}"))
    with pytest.raises(ValueError, match="owner/calls.*pieces"):
        load_pages(tmp_path / "pages.toml")
