"""What is measured of a window is the voice's: not the line's offset, rumble or hum."""

from collections.abc import Callable

import numpy as np
import pytest

from monitor.analysis import quality
from monitor.analysis.speech import CHUNK, SpeechGate, SpeechMeter
from monitor.types import SAMPLE_RATE, AudioWindow, Span, Waveform
from tests.recordings import humming

T = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
SPEAKS = np.arange(len(T) // CHUNK) // 15 % 2 == 0
"""By chunk: half a second of voice, half a second of none."""


def voice() -> Waveform:
    """A voice that pauses, 30 dB over its noise and without anything below 80 Hz."""
    sound = np.zeros(len(T))
    gate = np.repeat(SPEAKS, CHUNK)
    sound[: len(gate)] = humming(3)[: len(gate)] * gate
    sound += np.random.default_rng(0).normal(0, 0.002, len(T))
    spectrum = np.fft.rfft(sound)
    spectrum[: 80 * 3] = 0
    return np.asarray(np.fft.irfft(spectrum, len(T)), np.float32)


def rumble() -> Waveform:
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(0, 1, 2 * len(T)))
    frequencies = np.fft.rfftfreq(2 * len(T), 1 / SAMPLE_RATE)
    spectrum[(frequencies < 5) | (frequencies > 45)] = 0
    wave = np.fft.irfft(spectrum)[: len(T)]
    return np.asarray(0.2 * wave / np.abs(wave).max(), np.float32)


def mains(hertz: float) -> Waveform:
    multiples = np.array([[1, 0.1], [2, 0.01], [3, 0.02], [5, 0.01]])
    waves = [a * np.sin(2 * np.pi * n * hertz * T) for n, a in multiples]
    return np.asarray(np.sum(waves, axis=0), np.float32)


UNDER = {
    "offset": lambda: np.full(len(T), 0.2, np.float32),
    "negative offset": lambda: np.full(len(T), -0.05, np.float32),
    "drift": lambda: (0.2 * np.sin(2 * np.pi * 0.3 * T)).astype(np.float32),
    "rumble": rumble,
    "50 Hz": lambda: (0.1 * np.sin(2 * np.pi * 49.98 * T)).astype(np.float32),
    "60 Hz": lambda: (0.1 * np.sin(2 * np.pi * 60.02 * T)).astype(np.float32),
}


@pytest.mark.parametrize("hertz", [50, 60])
def test_multiples_of_the_mains_frequency_are_taken_out_where_they_stand_out(hertz: float) -> None:
    plain, humming_line = measures(voice()), measures(voice() + mains(hertz))
    assert humming_line[0] == pytest.approx(plain[0], abs=1)
    assert humming_line[2] == pytest.approx(plain[2], rel=0.1)


def measures(samples: Waveform) -> tuple[float, float, float]:
    cleaned = quality.of_voice(samples)
    return (
        quality.level_dbfs(cleaned),
        quality.snr_db(cleaned, SPEAKS, CHUNK),
        quality.bandwidth_hz(cleaned),
    )


@pytest.mark.parametrize("under", UNDER.values(), ids=UNDER)
def test_what_lies_below_a_voice_is_neither_voice_nor_noise(
    under: Callable[[], Waveform],
) -> None:
    """Cheap adapters add a constant to every sample, tables rumble, cables hum.

    Case dc-offset, 2026-11: a clean voice was shown with an SNR of 0.1 dB and 437 Hz.
    """
    plain = measures(voice())
    assert plain[1] > 20
    level, snr, bandwidth = measures(voice() + under())
    assert level == pytest.approx(plain[0], abs=1)
    assert snr == pytest.approx(plain[1], abs=2)
    assert bandwidth == pytest.approx(plain[2], rel=0.1)


def test_a_window_with_nothing_below_the_voice_is_measured_as_it_is() -> None:
    spectrum = np.fft.rfft(voice())
    spectrum[: 300 * 3] = 0
    telephone = np.asarray(np.fft.irfft(spectrum, len(T)), np.float32)
    assert quality.of_voice(telephone) is telephone


@pytest.mark.parametrize("length", [0, 100, 160, 5000, 48_000])
def test_any_length_is_kept(length: int) -> None:
    assert len(quality.of_voice(np.full(length, 0.2, np.float32))) == length


def test_detectors_hear_the_voice_alone() -> None:
    def measured(samples: Waveform) -> AudioWindow:
        window = AudioWindow("remote", Span(0, 3), Span(0, 3), samples, 0.0, 0.0)
        return SpeechMeter(SpeechGate()).measure(window)

    plain, offset = measured(voice()), measured(voice() + np.float32(0.2))
    # All but the very ends, where nothing tells an offset from a wave.
    inside = slice(1000, -1000)
    np.testing.assert_allclose(offset.samples[inside], plain.samples[inside], atol=5e-3)
    assert offset.speech_seconds == pytest.approx(plain.speech_seconds, abs=0.1)
    assert offset.quality["level_dbfs"] == pytest.approx(plain.quality["level_dbfs"], abs=1)
