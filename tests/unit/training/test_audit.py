"""The probe finds a packaging difference where there is one, and none where there is none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.training.data.clips import Split
from monitor.training.data.prepare import Item
from monitor.training.data.store import to_pcm, write
from monitor.training.measure.audit import FEATURES, features, trivial_probe
from tests.unit.training.voices import voice


def _items(leak: bool) -> Iterator[Item]:
    rng = np.random.default_rng(4)
    for i in range(80):
        fake = i % 2 == 1
        samples = voice(rng, 1.0)
        if leak and fake:
            # Fakes of this page have no upper band.
            spectrum = np.fft.rfft(samples)
            spectrum[len(spectrum) // 3 :] = 0
            samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
        split = (Split.TRAIN, Split.DEV, Split.TEST)[i // 2 % 3]
        row = {"split": split, "fake": fake, "source": f"page {split}", "active": "1" * 31}
        yield row, to_pcm(samples)


@pytest.mark.parametrize("leak", [True, False])
def test_probe(tmp_path: Path, leak: bool) -> None:
    found = trivial_probe(write(tmp_path, "speech", _items(leak)))
    error = found["seen test"]["eer"]
    assert (error < 0.1) if leak else (error > 0.25)


def test_features_are_finite_even_for_silence() -> None:
    quiet = features(np.zeros(16_000, np.int16) + 1, np.ones(31, bool))
    assert quiet.shape == (len(FEATURES),)
    assert np.isfinite(quiet).all()
