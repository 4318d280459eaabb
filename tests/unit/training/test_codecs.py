"""Codec round trips keep length, level and most of the sound."""

import numpy as np
import pytest

from monitor.training.codecs import CODECS, Codec, through_codec
from tests.unit.training.voices import voice


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_round_trip(codec: Codec, g729_there: bool) -> None:
    if codec.name == "g729" and not g729_there:
        pytest.skip("needs Debian's libbcg729-0")
    samples = voice(np.random.default_rng(2), 1.7)
    rate = max(codec.bit_rates, default=0)
    out = through_codec(samples, codec, rate)
    assert out.shape == samples.shape
    level = 20 * np.log10(np.std(out) / np.std(samples))
    assert abs(level) < 4
    # AAC and AMR delay the sound; look for it.
    middle = samples[8000:16000]
    match = np.correlate(out[6000:20000], middle, "valid")
    assert np.abs(match).max() > 0.5 * np.linalg.norm(middle) ** 2
