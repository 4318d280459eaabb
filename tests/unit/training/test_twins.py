"""A recording that two pages share is found, however it was packed; others are not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.training import clips
from monitor.training.clips import Split, load_clips
from monitor.training.prepare import Item
from monitor.training.store import to_pcm, write
from monitor.training.twins import twins
from monitor.types import SAMPLE_RATE, Waveform


def _speech(seed: int) -> Waveform:
    rng = np.random.default_rng(seed)
    syllables = np.repeat(rng.uniform(0.02, 1, 40), SAMPLE_RATE // 10)
    loudness = np.convolve(syllables, np.ones(800) / 800, "same")
    return (0.2 * loudness * rng.standard_normal(len(loudness))).astype(np.float32)


def _row(path: str, split: Split, fake: bool = False) -> dict[str, object]:
    return {"path": path, "split": split, "fake": fake}


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


def test_twins_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = "path,label,generator,generator_family,speaker,source,licence,duration_s\n"
    line = "{},spoof,g,f,s,gemelo-ai/vocos,unstated,3.0\n"
    (tmp_path / "manifest.csv").write_text(columns + line.format("one") + line.format("two"))
    (tmp_path / "twins.txt").write_text("two\n")
    monkeypatch.setattr(clips, "TWINS_FILE", tmp_path / "twins.txt")
    assert [clip.split for clip in load_clips(tmp_path)] == [Split.TEST, Split.NONE]
