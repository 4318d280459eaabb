"""The speech gate hears speech where there is some, whatever the window and frame grid."""

import numpy as np
import pytest

from monitor.analysis.speech import CHUNK, SpeechGate, SpeechMeter
from monitor.analysis.windows import AudioWindower
from monitor.types import SAMPLE_RATE, AudioFrame, AudioWindow


def windows(samples: np.ndarray, start: float = 0.0) -> list[AudioWindow]:
    windower = AudioWindower("p")
    frame = AudioFrame("p", start, samples.astype(np.float32))
    return [*windower.push(frame), *windower.flush()]


@pytest.fixture(scope="module")
def gate() -> SpeechGate:
    return SpeechGate()


def test_silence_and_a_ring_tone_are_not_speech(gate: SpeechGate) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    for samples in (np.zeros(5 * SAMPLE_RATE), tone):
        meter = SpeechMeter(gate)
        assert all(meter.measure(w).speech_seconds < 0.2 for w in windows(samples))


def test_overlapping_windows_hear_each_chunk_once(gate: SpeechGate) -> None:
    samples = np.random.default_rng(0).standard_normal(6 * SAMPLE_RATE) * 0.05
    meter = SpeechMeter(gate)
    measured = [meter.measure(w) for w in windows(samples)]
    direct = gate.stream().probabilities(samples.astype(np.float32))
    heard = [p for _, p in meter._chunks]
    np.testing.assert_allclose(heard, direct[-len(heard) :], atol=1e-6)
    assert all(len(w.quality) == 6 for w in measured)


def test_the_state_starts_afresh_after_a_long_gap(gate: SpeechGate) -> None:
    windower, meter = AudioWindower("p"), SpeechMeter(gate)
    rng = np.random.default_rng(0)
    for start in (0.0, 60.0):
        samples = rng.standard_normal(4 * SAMPLE_RATE).astype(np.float32)
        for window in windower.push(AudioFrame("p", start, samples)):
            meter.measure(window)
    assert meter._heard >= 60 * SAMPLE_RATE
    assert len(meter._chunks) <= 3 * SAMPLE_RATE / CHUNK + 1
