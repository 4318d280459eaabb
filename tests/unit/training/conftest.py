"""Some codecs are encoded by Debian packages, which CI has."""

import os
from functools import cache

import numpy as np
import pytest

from monitor.training.channels import channel
from monitor.training.channels.codecs import CODECS, Codec, through_codec
from tests.unit.training.voices import voice


@cache
def encodable(codec: Codec) -> bool:
    """Whether a codec's library is here; in CI it must be."""
    try:
        rate = max(codec.bit_rates, default=0)
        through_codec(voice(np.random.default_rng(0), 0.5), codec, rate)
    except RuntimeError:
        if os.environ.get("CI"):
            raise
        return False
    return True


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be encoded here, no channel draws."""
    shares = np.array([codec.weight * encodable(codec) for codec in CODECS])
    monkeypatch.setattr(channel, "_CODEC_SHARES", shares / shares.sum())
