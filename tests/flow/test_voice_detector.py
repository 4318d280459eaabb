"""The shipped voice detector on input that is not speech at all: a reason or a bounded score."""

from pathlib import Path

import av
import numpy as np
import pytest

from monitor.detectors.voice import VoiceDetector
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.channels.channel import resample
from monitor.types import SAMPLE_RATE, AbstentionReason, AudioWindow, Span

RNG = np.random.default_rng(0)
SECONDS = 3 * SAMPLE_RATE


@pytest.fixture(scope="module")
def detector() -> VoiceDetector:
    return VoiceDetector(Catalogue(default_folder()).verified("voice"))


def window(samples: np.ndarray, speech: float = 2.0, missing: float = 0.0) -> AudioWindow:
    span = Span(0.0, len(samples) / SAMPLE_RATE)
    return AudioWindow("p", span, span, samples.astype(np.float32), speech, missing)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(SECONDS),
        np.full(SECONDS, 0.7),
        np.sign(np.sin(np.arange(SECONDS) / 20)),
        RNG.standard_normal(SECONDS),
        1e-7 * RNG.standard_normal(SECONDS),
        np.repeat(RNG.standard_normal(SECONDS // 8), 8),
        RNG.standard_normal(SAMPLE_RATE),
        RNG.standard_normal(10 * SAMPLE_RATE),
        0.2 * resample(RNG.standard_normal((1, SECONDS // 2)).astype(np.float32), SECONDS)[0],
        RNG.standard_normal(3 * SAMPLE_RATE // 10),
    ],
    ids=["zeros", "dc", "clipped", "noise", "faint", "steps", "1 s", "10 s", "8 kHz", "0.3 s"],
)
def test_odd_input_gives_a_bounded_score(detector: VoiceDetector, samples: np.ndarray) -> None:
    (result,) = detector.judge([window(np.clip(samples, -1, 1))])
    assert not isinstance(result, AbstentionReason)
    assert abs(result) < 30


def test_gain_does_not_change_the_score(detector: VoiceDetector) -> None:
    samples = np.clip(0.1 * RNG.standard_normal(SECONDS), -1, 1)
    loud, faint = detector.judge([window(samples), window(samples * 0.05)])
    assert loud == pytest.approx(faint, abs=0.05)


def test_what_is_not_a_number_is_a_fault(detector: VoiceDetector) -> None:
    assert detector.judge([window(np.full(SECONDS, np.nan))]) == [AbstentionReason.FAULT]


@pytest.mark.parametrize(
    ("speech", "missing", "reason"),
    [
        (0.0, 0.0, AbstentionReason.SILENCE),
        (0.3, 0.0, AbstentionReason.TOO_LITTLE_SPEECH),
        (0.5, 0.0, AbstentionReason.TOO_LITTLE_SPEECH),
        (2.0, 0.6, AbstentionReason.GAP),
    ],
)
def test_a_window_that_must_not_be_judged_is_not(
    detector: VoiceDetector, speech: float, missing: float, reason: AbstentionReason
) -> None:
    noise = RNG.standard_normal(SECONDS)
    assert detector.judge([window(noise, speech, missing)]) == [reason]


def test_numbers_that_are_none_never_pass_ingest(tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    wave = np.zeros((1, SAMPLE_RATE), np.float32)
    wave[0, 100:200], wave[0, 300:400], wave[0, 500:600] = np.nan, np.inf, -7.0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples = decode_audio(path)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0
