"""A recording that two pages share is found, however it was packed; others are not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.training.data import clips
from monitor.training.data.clips import Split, load_clips
from monitor.training.data.prepare import SPEECH_STORE, Item, open_speech
from monitor.training.data.prepare import open_speech_with_twins as with_twins
from monitor.training.data.store import to_pcm, write
from monitor.training.data.twins import twins
from monitor.types import SAMPLE_RATE, Waveform


def _speech(seed: int) -> Waveform:
    rng = np.random.default_rng(seed)
    syllables = np.repeat(rng.uniform(0.02, 1, 40), SAMPLE_RATE // 10)
    loudness = np.convolve(syllables, np.ones(800) / 800, "same")
    return (0.2 * loudness * rng.standard_normal(len(loudness))).astype(np.float32)


def _row(path: str, split: Split, fake: bool = False) -> dict[str, object]:
    return {"path": path, "split": split, "fake": fake, "source": path.partition("/")[0]}


def test_the_shared_recording_is_found(tmp_path: Path) -> None:
    shared = _speech(0)
    noise = np.random.default_rng(9).standard_normal(len(shared))
    quiet = (0.3 * (shared + 0.002 * noise)).astype(np.float32)

    def items() -> Iterator[Item]:
        yield _row("train/a", Split.TRAIN), to_pcm(shared)
        yield _row("train/b", Split.TRAIN), to_pcm(_speech(1))
        # Quieter, noisier and cut 30 ms later.
        yield _row("test/copy", Split.TEST), to_pcm(quiet[480:])
        yield _row("test/other", Split.TEST), to_pcm(_speech(2))
        # The same contour with the other label is a resynthesis, which tests are made of.
        yield _row("test/vocoded", Split.TEST, fake=True), to_pcm(shared)

    assert twins(write(tmp_path, "speech", items())) == ["test/copy"]


def test_a_page_gathered_later_gives_way_to_the_test(tmp_path: Path) -> None:
    one, other = _speech(0), _speech(1)

    def items() -> Iterator[Item]:
        yield _row("later/copy", Split.TRAIN), to_pcm(one)
        yield _row("later/own", Split.TRAIN), to_pcm(_speech(2))
        yield _row("old/copy", Split.TRAIN), to_pcm(other)
        yield _row("test/shared with later", Split.TEST), to_pcm(one)
        yield _row("test/shared with old", Split.TEST), to_pcm(other)

    found = twins(write(tmp_path, "speech", items()), later={"later"})
    assert found == ["later/copy", "test/shared with old"]


def test_between_pages_gathered_later_the_test_gives_way(tmp_path: Path) -> None:
    shared = _speech(0)

    def items() -> Iterator[Item]:
        yield _row("later/copy", Split.TRAIN), to_pcm(shared)
        yield _row("drawn/shared", Split.TEST), to_pcm(shared)

    found = twins(write(tmp_path, "speech", items()), later={"later", "drawn"})
    assert found == ["drawn/shared"]


def test_twins_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = "path,label,generator,generator_family,speaker,source,licence,duration_s\n"
    line = "{},spoof,g,f,s,gemelo-ai/vocos,unstated,3.0\n"
    (tmp_path / "manifest.csv").write_text(columns + line.format("one") + line.format("two"))
    (tmp_path / "twins.txt").write_text("two\n")
    monkeypatch.setattr(clips, "TWINS_FILE", tmp_path / "twins.txt")
    assert [clip.split for clip in load_clips(tmp_path)] == [Split.TEST, Split.NONE]


def test_a_copy_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def items() -> Iterator[Item]:
        about = {"source": "somewhere/new", "speaker": "s", "generator": "g", "fake": True}
        for path in ("one", "two"):
            yield {"path": path, **about}, to_pcm(_speech(0))

    write(tmp_path, SPEECH_STORE, items())
    (tmp_path / "twins.txt").write_text("two\n")
    monkeypatch.setattr(clips, "TWINS_FILE", tmp_path / "twins.txt")
    splits = [[row["split"] for row in get(tmp_path).rows] for get in (open_speech, with_twins)]
    assert splits == [[Split.TRAIN, Split.NONE], [Split.TRAIN, Split.TRAIN]]
