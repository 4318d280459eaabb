"""Codec round trips keep length, level and most of the sound."""

import numpy as np
import pytest

from monitor.training.channels import encoders
from monitor.training.channels.codecs import CODECS, Codec, codec_named, through_codec
from monitor.types import Waveform
from tests.unit.training.conftest import encodable
from tests.unit.training.voices import voice

PARAMETRIC = "codec2"
"""Keeps what is said, not the wave."""


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_round_trip(codec: Codec) -> None:
    if not encodable(codec):
        pytest.skip(f"needs the Debian library of {codec.name}")
    samples = voice(np.random.default_rng(2), 1.7)
    rate = max(codec.bit_rates, default=0)
    out = through_codec(samples, codec, rate)
    assert out.shape == samples.shape
    level = 20 * np.log10(np.std(out) / np.std(samples))
    assert abs(level) < 4
    sent, heard = (_loudness(it) if codec.name == PARAMETRIC else it for it in (samples, out))
    # Most codecs delay the sound; look for it.
    start, end, late = (np.array([8000, 16000, 4000]) * len(sent) // len(samples)).tolist()
    middle = sent[start:end]
    match = np.correlate(heard[start - late // 2 : end + late], middle, "valid")
    assert np.abs(match).max() > 0.5 * np.linalg.norm(middle) ** 2


def _loudness(samples: Waveform) -> Waveform:
    """Every 10 ms, without its mean."""
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level: Waveform = np.sqrt(np.square(blocks).mean(1))
    return np.asarray(level - level.mean(), np.float32)


@pytest.mark.parametrize("name", ["amr-wb", "speex", "codec2"])
def test_fewer_bits_leave_less_of_the_wave(name: str) -> None:
    codec = codec_named(name)
    if not encodable(codec):
        pytest.skip(f"needs the Debian library of {name}")
    samples = voice(np.random.default_rng(5), 1.5)
    least, most = (
        through_codec(samples, codec, rate) for rate in (min(codec.bit_rates), max(codec.bit_rates))
    )
    assert np.abs(least - most).max() > 0.01


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders._library.cache_clear()

    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", absent)
    with pytest.raises(RuntimeError, match="libgsm1"):
        next(encoders.gsm(np.zeros(160, np.int16)))
