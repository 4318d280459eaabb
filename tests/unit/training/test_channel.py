"""The channel simulator treats everyone in a group alike."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from monitor.training.channels import channel
from monitor.training.channels.channel import (
    ChannelOdds,
    compand,
    draw_channel,
    resample,
    transmit,
)
from monitor.training.channels.codecs import Codec, codec_named, through_codec
from monitor.training.channels.lines import through_g711, through_mobile, through_poor_network
from monitor.training.channels.packets import CONCEALMENTS, FRAME, PITCH, lose_packets
from monitor.training.measure.scoring import through
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice

EVERYTHING = ChannelOdds(*[1] * len(fields(ChannelOdds)))
NOTHING = ChannelOdds(*[0] * len(fields(ChannelOdds)))


def _pair() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([voice(rng, 2.3), voice(rng, 2.3)])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("odds", [ChannelOdds(), EVERYTHING])
def test_length_and_level_are_kept(seed: int, odds: ChannelOdds) -> None:
    drawn = draw_channel(np.random.default_rng(seed), odds)
    signals = _pair()
    out = transmit(signals, drawn)
    assert out.shape == signals.shape
    assert out.dtype == np.float32
    level = 20 * np.log10(np.sqrt(np.mean(out**2, axis=1)) / (0.1 * drawn.gain))
    assert np.abs(level).max() < 1


def test_level_of_a_recording_leaves_no_trace() -> None:
    # Without the quantisers, which turn the last digit into a whole step.
    odds = replace(EVERYTHING, codec=0, lossy_opus=0, telephone=0)
    drawn = draw_channel(np.random.default_rng(3), odds)
    signals = _pair()
    louder = signals * np.array([[0.05], [1.0]], np.float32)
    np.testing.assert_allclose(transmit(signals, drawn), transmit(louder, drawn), rtol=0, atol=2e-3)


def test_both_sides_of_a_pair_get_the_same_draw() -> None:
    drawn = draw_channel(np.random.default_rng(5), EVERYTHING)
    one = _pair()[:1]
    twice = transmit(np.concatenate([one, one]), drawn)
    np.testing.assert_array_equal(twice[0], twice[1])
    # And the same whenever it is applied.
    np.testing.assert_array_equal(twice, transmit(np.concatenate([one, one]), drawn))


def test_a_draw_without_impairments_changes_level_only() -> None:
    signals = _pair()
    out = transmit(signals, draw_channel(np.random.default_rng(0), NOTHING))
    for before, after in zip(signals, out, strict=True):
        assert np.corrcoef(before, after)[0, 1] > 0.999


@pytest.mark.parametrize("law", ["mu", "a"])
def test_companding_is_eight_bits_and_close(law: str) -> None:
    x = np.linspace(-1, 1, 20_001)
    y = compand(x, law)
    assert len(np.unique(y)) <= 257  # zero has no sign
    assert np.abs(y - x).max() < 0.04
    loud = np.abs(x) > 0.02
    assert np.abs(y[loud] / x[loud] - 1).max() < 0.05


def test_telephone_keeps_length_and_removes_the_upper_band() -> None:
    samples = np.random.default_rng(0).standard_normal(SAMPLE_RATE + 1).astype(np.float32) * 0.1
    out = through_g711(samples)
    assert out.shape == samples.shape
    power = np.abs(np.fft.rfft(out)) ** 2
    upper = slice(int(len(power) * 0.52), None)
    assert power[upper].sum() < 1e-3 * power.sum()


def test_resampling_there_and_back_is_the_low_band() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 440 * time)[None].astype(np.float32)
    back = resample(resample(tone, SAMPLE_RATE // 2), SAMPLE_RATE)
    np.testing.assert_allclose(back, tone, atol=1e-4)


def test_a_poor_network_loses_packets_the_same_way_every_time() -> None:
    speech = voice(np.random.default_rng(4), 3.0)
    heard = through_poor_network(speech)
    assert heard.shape == speech.shape
    np.testing.assert_array_equal(heard, through_poor_network(speech))
    intact = through_codec(speech, codec_named("opus-low"), 12_000)
    frames = (heard != intact)[: len(heard) // 320 * 320].reshape(-1, 320).any(1)
    assert 0.01 < frames.mean() < 0.25


@pytest.mark.parametrize("conceal", sorted(set(CONCEALMENTS)))
def test_lost_packets_are_concealed_and_the_others_stay(conceal: str) -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    heard = lose_packets(tone[None], 0.1, conceal, np.random.default_rng(0))[0]
    packets = (heard - tone).reshape(-1, FRAME)
    lost = np.abs(packets).max(1) > 1e-6
    assert 0 < lost.mean() < 0.4
    error = np.sqrt(np.square(packets[lost]).mean()) / np.sqrt(0.5)
    # A steady tone goes on as its last period did; silence misses all of it.
    assert error < 0.5 if conceal == PITCH else error > 0.25


def test_a_mobile_telephone_has_no_upper_band_and_sounds_the_same_every_time() -> None:
    speech = voice(np.random.default_rng(4), 3.0)
    heard = through_mobile(speech)
    assert heard.shape == speech.shape
    np.testing.assert_array_equal(heard, through_mobile(speech))
    power = np.abs(np.fft.rfft(heard)) ** 2
    assert power[int(len(power) * 0.52) :].sum() < 0.02 * power.sum()
    assert np.abs(heard - through_mobile(speech, 12_200)).max() > 0.01


@pytest.mark.parametrize(
    ("name", "order"), [("amr", ["codec", "trunk"]), ("g722", ["trunk", "codec"])]
)
def test_a_trunk_carries_on_what_a_narrow_codec_left(
    name: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []

    def note(what: str) -> Callable[..., np.ndarray]:
        def pass_on(signals: np.ndarray, *_: object) -> np.ndarray:
            if passed[-1:] != [what]:
                passed.append(what)
            return signals

        return pass_on

    monkeypatch.setattr(channel, "through_codec", note("codec"))
    monkeypatch.setattr(channel, "_telephone", note("trunk"))
    draw = draw_channel(np.random.default_rng(0), NOTHING)
    transmit(_pair(), replace(draw, codec=codec_named(name), telephone="mu"))
    assert passed == order


def test_a_call_may_pass_two_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []

    def note(signals: np.ndarray, codec: Codec, _: int) -> np.ndarray:
        passed.append(codec.name)
        return signals

    monkeypatch.setattr(channel, "through_codec", note)
    draw = draw_channel(np.random.default_rng(0), NOTHING)
    transmit(_pair()[:1], replace(draw, codec=codec_named("amr"), onward=codec_named("gsm")))
    assert passed == ["amr", "gsm"]


def test_a_loudspeaker_takes_the_bass_and_adds_a_room() -> None:
    odds = replace(NOTHING, presented=1)
    samples = np.random.default_rng(0).standard_normal((1, 3 * SAMPLE_RATE)).astype(np.float32)
    bass = []
    for seed in range(5):
        drawn = draw_channel(np.random.default_rng(seed), odds)
        assert drawn.reverberation > 0
        power = np.abs(np.fft.rfft(transmit(samples, drawn)[0])) ** 2
        bass.append(power[: 3 * 100].mean() / power.mean())
    assert max(bass) < 0.3


def test_a_tandem_is_one_codec_after_the_other() -> None:
    speech = voice(np.random.default_rng(4), 1.0)
    first = through_codec(speech, codec_named("amr"), 7_400)
    both = through_codec(first, codec_named("g726"), 32_000)
    np.testing.assert_array_equal(through(speech, "amr 7400+g726 32000"), both)
