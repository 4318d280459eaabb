"""Channels become one: none cancels another, none is left out, none is made louder."""

import av
import numpy as np
import pytest

from monitor.ingest.codecs.convert import AudioConverter
from monitor.ingest.codecs.mix import Channels, Mix
from monitor.types import SAMPLE_RATE, Waveform
from tests.recordings import humming

VOICE = humming(6)
OTHER = humming(6, seed=2)
STILL = np.zeros_like(VOICE)
HISS = np.random.default_rng(0).normal(0, 1e-4, len(VOICE)).astype(np.float32)


def mixed(*channels: Waveform, block: int = 4000) -> tuple[Waveform, Mix]:
    mix, stacked = Mix(), np.stack(channels)
    parts = [mix.mono(stacked[:, at : at + block]) for at in range(0, stacked.shape[1], block)]
    return np.concatenate(parts), mix


def decibels(one: Waveform, other: Waveform) -> float:
    return float(10 * np.log10(np.square(one).sum() / np.square(other).sum()))


@pytest.mark.parametrize("block", [320, 1000, 4000, 50_000])
@pytest.mark.parametrize(
    "channels",
    [
        (VOICE, VOICE),
        (VOICE, -VOICE),
        (STILL, STILL, VOICE),
        (VOICE, STILL),
        (STILL, VOICE),
        (VOICE, -VOICE, VOICE, -VOICE),
        (STILL, STILL, STILL, VOICE, STILL, STILL),
        (*[STILL] * 7, -VOICE),
    ],
    ids=range(8),
)
def test_one_voice_stays_as_it_is(channels: tuple[Waveform, ...], block: int) -> None:
    """Case lost-channels, 2026-11: a voice and its negative, or only in the third of three."""
    found, mix = mixed(*channels, block=block)
    np.testing.assert_allclose(abs(found), abs(VOICE), atol=1e-6)
    assert not mix.different


@pytest.mark.parametrize("channels", [(HISS, HISS[::-1], VOICE), (VOICE, 0.7 * -VOICE + HISS)])
def test_hiss_and_unequal_levels_change_little(channels: tuple[Waveform, ...]) -> None:
    found, mix = mixed(*channels)
    assert abs(decibels(found, VOICE)) < 3
    assert abs(np.corrcoef(found, VOICE)[0, 1]) > 0.99
    assert not mix.different


def test_of_a_voice_that_is_turned_over_nothing_is_lost() -> None:
    turned = VOICE * np.where(np.arange(len(VOICE)) < 48_000, 1, -1).astype(np.float32)
    found, _ = mixed(VOICE, turned)
    pieces = found.reshape(-1, 4000), VOICE.reshape(-1, 4000)
    for one, other in zip(*pieces, strict=True):
        assert decibels(one, other) > -3


@pytest.mark.parametrize("gain", [1.0, 0.2])
def test_two_voices_are_both_heard_and_told(gain: float) -> None:
    talk = (np.arange(len(VOICE)) // 24_000 % 2).astype(np.float32)
    found, mix = mixed(VOICE * talk, gain * OTHER * (1 - talk))
    assert mix.different
    for part, voice in ((talk, VOICE), (1 - talk, gain * OTHER)):
        spoken = part > 0
        # The first voice is as loud as it is until there is a second.
        assert decibels(found[spoken], voice[spoken]) == pytest.approx(-3, abs=3.1)


def test_two_voices_at_once_are_told() -> None:
    _, mix = mixed(VOICE, OTHER)
    assert mix.different


def test_another_number_of_channels_begins_anew() -> None:
    mix = Mix()
    pieces: list[Channels] = [
        np.stack([VOICE, -VOICE]),
        VOICE[None],
        np.stack([STILL] * 2 + [VOICE]),
    ]
    for piece in pieces:
        np.testing.assert_allclose(abs(mix.mono(piece)), abs(VOICE), atol=1e-6)


@pytest.mark.parametrize("sample_format", ["fltp", "s16", "s16p", "dbl", "s32", "u8"])
@pytest.mark.parametrize("layout", ["stereo", "2.1", "5.1", "7.1", "4.0", "hexagonal"])
def test_every_layout_is_the_mean_and_never_clips(layout: str, sample_format: str) -> None:
    """FFmpeg's own mixing to mono made loud stereo 3 dB louder and cut it off."""
    loud = np.sin(2 * np.pi * 300 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32) * 0.95
    count = av.AudioLayout(layout).nb_channels
    source = av.AudioFrame.from_ndarray(np.repeat(loud, count)[None], "flt", layout)
    source.sample_rate = SAMPLE_RATE
    (frame,) = av.AudioResampler(sample_format, layout, SAMPLE_RATE).resample(source)
    converter = AudioConverter()
    # Two at once, as live sound comes.
    found = np.concatenate([converter.convert(frame, frame), converter.flush()])
    np.testing.assert_allclose(
        found, np.tile(loud, 2), atol=0.02 if sample_format == "u8" else 1e-3
    )
