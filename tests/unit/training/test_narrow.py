"""Channels that others can stand in for are left out, and the score stays."""

import numpy as np
import pytest
import torch

from monitor.training.voice.narrow import narrow
from monitor.training.voice.network import NetworkSize, Residual, VoiceNetwork
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice

NARROW = NetworkSize(inner=(16, 64, 96))


@pytest.fixture(scope="module")
def speech() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    return [torch.from_numpy(np.stack([voice(rng, 1.0) for _ in range(6)]))]


def test_a_channel_that_repeats_another_is_not_missed(speech: list[torch.Tensor]) -> None:
    torch.manual_seed(0)
    wide, narrowed = VoiceNetwork(3).eval(), VoiceNetwork(3, NARROW).eval()
    block = wide.body[0]
    assert isinstance(block, Residual)
    with torch.no_grad():
        # Sixteen channels, each of them twice and at two levels.
        block.first.weight[16:] = 2 * block.first.weight[:16]
        block.norm1.running_var[16:] = 4 * block.norm1.running_var[:16]  # type: ignore[index]
    errors = narrow(wide, narrowed, speech)
    assert errors[0] < 1e-3
    assert errors[1:] == [0.0, 0.0]
    fresh = torch.from_numpy(voice(np.random.default_rng(5), 3.0))[None]
    with torch.no_grad():
        torch.testing.assert_close(narrowed(fresh), wide(fresh), atol=0.05, rtol=0)


def test_what_is_cut_is_made_up_for_as_far_as_can_be(speech: list[torch.Tensor]) -> None:
    torch.manual_seed(1)
    wide, narrowed = VoiceNetwork(3).eval(), VoiceNetwork(3, NARROW).eval()
    error = narrow(wide, narrowed, speech)[0]
    # Random channels: half of them cannot do everything, but more than half of it.
    assert 0 < error < 0.5
    assert len(speech[0][0]) == SAMPLE_RATE


def test_a_wider_network_is_refused(speech: list[torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="32 channels out of 16"):
        narrow(VoiceNetwork(3, NARROW).eval(), VoiceNetwork(3).eval(), speech)
