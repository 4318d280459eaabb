"""Shapes of the network, and what must not matter to its score."""

import numpy as np
import pytest
import torch

from monitor.training.voice.network import VoiceNetwork, parameter_count
from monitor.training.voice.spectrum import (
    BANDS,
    FFT_BINS,
    FLOOR,
    HOP,
    PRE_EMPHASIS,
    WINDOW,
    FrontEnd,
    band_matrix,
)
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice


@pytest.fixture(scope="module")
def network() -> VoiceNetwork:
    torch.manual_seed(0)
    return VoiceNetwork(families=5).eval()


@pytest.mark.parametrize("seconds", [1, 3, 4.321, 10])
def test_shapes(network: VoiceNetwork, seconds: float) -> None:
    waveform = torch.randn(2, int(seconds * SAMPLE_RATE)) * 0.1
    spectrum = network.front(waveform)
    assert spectrum.shape[:3] == (2, 1, BANDS)
    heads = network.heads(spectrum)
    assert heads.logit.shape == (2,)
    assert heads.family.shape == (2, 5)
    assert heads.frames.shape == (2, -(-spectrum.shape[3] // 4))
    torch.testing.assert_close(heads.direction.norm(dim=1), torch.ones(2))
    assert network(waveform).shape == (2,)


def test_size() -> None:
    assert 200_000 < parameter_count(VoiceNetwork(families=8)) < 500_000


@pytest.mark.parametrize("gain", [1e-3, 0.1, 3.0])
def test_gain_does_not_matter(network: VoiceNetwork, gain: float) -> None:
    waveform = torch.from_numpy(voice(np.random.default_rng(0), 3.0))[None]
    torch.testing.assert_close(network(waveform * gain), network(waveform), rtol=0, atol=1e-4)


def test_silence_gives_a_number(network: VoiceNetwork) -> None:
    assert torch.isfinite(network(torch.zeros(1, SAMPLE_RATE))).all()


def test_front_end_finds_a_tone_where_it_is() -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    burst = (time > 0.5) * torch.sin(2 * torch.pi * 3000 * time)
    spectrum = FrontEnd()(burst[None])[0, 0]
    assert spectrum[:, 75].argmax() == pytest.approx(3000 / 8000 * BANDS, abs=1)


def test_a_fixed_filter_changes_little() -> None:
    rng = np.random.default_rng(1)
    waveform = rng.standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    filtered = np.convolve(waveform, [1, 0.4, 0.1], "same").astype(np.float32)
    front = FrontEnd()
    plain, other = (front(torch.from_numpy(x)[None]) for x in (waveform, filtered))
    assert (plain - other).abs().mean() < 0.05 * plain.abs().mean()


def test_front_end_is_a_hann_windowed_transform() -> None:
    rng = np.random.default_rng(2)
    waveform = rng.standard_normal((2, 5_000)).astype(np.float32)
    signal = waveform / np.sqrt(np.square(waveform).mean(1, keepdims=True))
    signal = signal[:, 1:] - PRE_EMPHASIS * signal[:, :-1]
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW, 1)[:, ::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    window /= np.sqrt(np.square(window).sum())
    power = np.square(np.abs(np.fft.rfft(frames * window, 2 * FFT_BINS)))[..., 1:]
    log = np.log(power @ band_matrix().numpy().T + FLOOR)
    expected = (log - log.mean(1, keepdims=True)).transpose(0, 2, 1)
    found = FrontEnd()(torch.from_numpy(waveform))[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)
