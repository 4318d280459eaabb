"""Stores keep what was written, and a broken run leaves none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.training.data.gate import MARGIN_CHUNKS, find_speech
from monitor.training.data.library import crop_start, cut
from monitor.training.data.prepare import Item
from monitor.training.data.store import AudioStore, ensure, exists, from_pcm, to_pcm


def _items() -> Iterator[Item]:
    for length in (5, 0, 3):
        yield {"length": length}, np.arange(length, dtype=np.int16)


def test_rows_and_samples_come_back(tmp_path: Path) -> None:
    ensure(tmp_path, "a", _items)
    store = AudioStore(tmp_path, "a")
    assert [row["length"] for row in store.rows] == [5, 0, 3]
    for index, row in enumerate(store.rows):
        np.testing.assert_array_equal(store.pcm(index), np.arange(row["length"]))


def test_a_broken_run_leaves_no_store(tmp_path: Path) -> None:
    def broken() -> Iterator[Item]:
        yield from _items()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        ensure(tmp_path, "a", broken)
    assert not exists(tmp_path, "a")
    assert len(ensure(tmp_path, "a", _items)) == 3


def test_sixteen_bits_are_kept() -> None:
    pcm = np.array([-32767, -1, 0, 1, 32767], np.int16)
    np.testing.assert_array_equal(to_pcm(from_pcm(pcm)), pcm)


def test_crops_look_for_speech() -> None:
    rng = np.random.default_rng(0)
    active = np.zeros(200, bool)
    active[100:] = True
    starts = [crop_start(active, 200 * 512, 50 * 512, rng) for _ in range(200)]
    assert np.mean(np.array(starts) >= 75 * 512) > 0.75
    assert crop_start(active, 100, 200, rng) == 0


def test_a_short_recording_is_repeated() -> None:
    np.testing.assert_array_equal(cut(np.arange(3, dtype=np.int16), 0, 7), [0, 1, 2, 0, 1, 2, 0])


class _LouderThan:
    """A gate that calls everything loud speech."""

    def stream(self) -> "_LouderThan":
        return self

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        chunks = samples[: len(samples) // 512 * 512].reshape(-1, 512)
        return np.asarray(np.abs(chunks).max(1) > 0.1, np.float32)


def test_recordings_are_cut_to_their_speech() -> None:
    samples = np.zeros(100 * 512, np.float32)
    samples[40 * 512 : 60 * 512] = 0.01
    speech = find_speech(samples, _LouderThan())  # type: ignore[arg-type]
    assert speech is not None
    assert speech.start == (40 - MARGIN_CHUNKS) * 512
    assert len(speech.samples) == (20 + 2 * MARGIN_CHUNKS) * 512
    assert speech.active.sum() == 20
    assert find_speech(np.zeros(5120, np.float32), _LouderThan()) is None  # type: ignore[arg-type]
