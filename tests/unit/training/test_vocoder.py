"""Own vocoders keep length, learn, and go on from their checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.training.data import vocoder_fit
from monitor.training.data.prepare import Item
from monitor.training.data.store import AudioStore, to_pcm, write
from monitor.training.data.vocoder import VOCODERS, Discriminator, Vocoder, spectral_distance
from monitor.training.data.vocoder_fit import fit_vocoder, load_vocoder, resynthesise
from monitor.types import SAMPLE_RATE, Waveform


def _voice(pitch: float, seconds: float) -> Waveform:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 20))
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)
    return (0.1 * harmonics * loudness).astype(np.float32)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> AudioStore:
    def items() -> Iterator[Item]:
        for pitch in (110, 140, 190):
            yield {"split": "train", "fake": False}, to_pcm(_voice(pitch, 2.0))
        yield {"split": "test", "fake": False}, to_pcm(_voice(300, 2.0))

    return write(tmp_path_factory.mktemp("speech"), "speech", items())


@pytest.mark.parametrize("name", VOCODERS)
def test_length_is_kept_at_any_length(name: str) -> None:
    vocoder = Vocoder(VOCODERS[name]).eval()
    for samples in (SAMPLE_RATE, SAMPLE_RATE + 77):
        made = resynthesise(vocoder, _voice(120, 2.0)[:samples])
        assert made.shape == (samples,)
        assert made.dtype == np.float32
        assert np.isfinite(made).all()


def test_fitting_helps_and_resumes(
    speech: AudioStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocoder_fit, "BATCH", 3)
    monkeypatch.setattr(vocoder_fit, "RATE", 2e-2)
    monkeypatch.setattr(vocoder_fit, "PLAIN_STEPS", 12)
    monkeypatch.setattr(vocoder_fit, "STEPS", 10)
    true = vocoder_fit.Crops(speech).batch(np.random.default_rng(0))
    torch.manual_seed(sorted(VOCODERS).index("istft-gan"))
    untrained = Vocoder(VOCODERS["istft-gan"])
    path = fit_vocoder(speech, tmp_path, "istft-gan")
    early = load_vocoder(path, "istft-gan")
    # Further steps, the last of them against the discriminator.
    monkeypatch.setattr(vocoder_fit, "STEPS", 14)
    fit_vocoder(speech, tmp_path, "istft-gan")
    late = load_vocoder(path, "istft-gan")
    assert torch.load(path, weights_only=True)["step"] == 14
    with torch.no_grad():
        distances = [float(spectral_distance(v(true), true)) for v in (untrained, early, late)]
    assert distances[1] < 0.9 * distances[0]
    assert distances[2] < distances[0]


def test_only_training_humans_are_shown(speech: AudioStore) -> None:
    crops = vocoder_fit.Crops(speech)
    batch = crops.batch(np.random.default_rng(1)).numpy()
    spectrum = np.abs(np.fft.rfft(batch * np.hanning(batch.shape[1])))
    loudest = spectrum.argmax(1) * SAMPLE_RATE / batch.shape[1]
    assert (loudest < 250).all()


def test_discriminator_scores_every_resolution() -> None:
    scores, features = Discriminator()(torch.randn(2, SAMPLE_RATE // 2))
    assert len(scores) == 2
    assert len(features) == 8
