"""Audio windows → how much speech they hold, with the Silero VAD network.

The weights are Silero's (MIT, snakers4/silero-vad 6); `models/speech` has them in a form that takes
many chunks in one run.
"""

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from monitor.analysis import quality
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.inference.onnx import Session
from monitor.types import CORRECTED, SAMPLE_RATE, AudioWindow, Waveform

CHUNK = 512
"""Samples the network judges at once: 32 ms."""
CHUNK_SECONDS = CHUNK / SAMPLE_RATE
SPEECH_PROBABILITY = 0.5
"""A chunk at or above this is speech; the network's documented default."""
_SPOILT_DB = 0.5
"""How much louder what lies below a voice must make a window for it to be taken out first."""
_CONTEXT = 64
"""Samples of the previous chunk the network wants in front of each chunk."""


class SpeechGate:
    """The loaded network, shared by all calls."""

    def __init__(self) -> None:
        """Load what ships; raises CatalogueError."""
        self._session = Session(Catalogue(default_folder()).verified("speech").path)

    def stream(self) -> "SpeechStream":
        """Start listening to one participant."""
        return SpeechStream(self._session)


class SpeechStream:
    """The recurrent state of one participant."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.reset()

    def reset(self) -> None:
        """Forget what was heard; for use after a gap."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def probabilities(self, samples: Waveform) -> NDArray[np.float32]:
        """Speech probability of each whole chunk, shape (len(samples) // 512,).

        The caller keeps the remainder and passes it in front of the next samples.
        """
        whole = samples[: len(samples) // CHUNK * CHUNK]
        if not len(whole):
            return np.zeros(0, np.float32)
        heard = np.concatenate([self._context, whole])
        chunks = np.ascontiguousarray(sliding_window_view(heard, _CONTEXT + CHUNK)[::CHUNK])
        found, self._state = self._session.run({"chunks": chunks, "state": self._state})
        self._context = heard[-_CONTEXT:]
        return found


class SpeechMeter:
    """Measures one participant's windows in order; each stretch of audio is heard once."""

    def __init__(self, gate: SpeechGate) -> None:
        self._stream = gate.stream()
        self._rest: Waveform = np.zeros(0, np.float32)
        self._heard = 0
        """Sample index, from call time 0, up to which `_chunks` reaches."""
        self._chunks: deque[tuple[int, float]] = deque()
        """Start sample and speech probability of recent chunks."""

    def measure(self, window: AudioWindow) -> AudioWindow:
        """Return the window with its speech seconds and quality filled in.

        A loud offset, rumble or hum is taken out of its samples.
        """
        start = round(window.span.start * SAMPLE_RATE)
        fresh = round(window.fresh.start * SAMPLE_RATE)
        if not len(window.samples):
            self._restart(round(window.span.end * SAMPLE_RATE))
            return window
        if fresh != self._heard + len(self._rest):
            self._restart(max(fresh, start))
        voice = quality.of_voice(window.samples)
        level = quality.level_dbfs(voice)
        # An offset or hum makes networks hear speech where there is none, and fakes.
        if voice is not window.samples and (
            quality.level_dbfs(window.samples) - level > _SPOILT_DB
        ):
            window = replace(window, samples=voice)
        samples = np.concatenate([self._rest, window.samples[max(0, fresh - start) :]])
        for probability in self._stream.probabilities(samples):
            self._chunks.append((self._heard, float(probability)))
            self._heard += CHUNK
        self._rest = samples[len(samples) // CHUNK * CHUNK :]
        while self._chunks and self._chunks[0][0] < start - CHUNK // 2:
            self._chunks.popleft()
        speech = np.array([p >= SPEECH_PROBABILITY for _, p in self._chunks], np.bool_)
        seconds = float(speech.sum()) * CHUNK_SECONDS
        marked = {CORRECTED: window.corrected_seconds} if window.corrected_seconds else {}
        return replace(
            window,
            speech_seconds=seconds,
            quality={
                "speech_seconds": seconds,
                "missing_seconds": window.missing_seconds,
                "level_dbfs": level,
                "clipped_ratio": quality.clipped_ratio(window.samples),
                "bandwidth_hz": quality.bandwidth_hz(voice),
                "snr_db": quality.snr_db(self._aligned(voice, start), speech, CHUNK),
                **marked,
            },
        )

    def _aligned(self, samples: Waveform, start: int) -> Waveform:
        """Cut the window so that it starts where the first kept chunk does."""
        return samples[max(0, self._chunks[0][0] - start) :] if self._chunks else samples

    def _restart(self, at: int) -> None:
        self._stream.reset()
        self._rest = np.zeros(0, np.float32)
        self._chunks.clear()
        self._heard = at
