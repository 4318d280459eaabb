"""Audio windows → a logit for synthetic or converted speech."""

import math
from collections.abc import Sequence

import numpy as np

from monitor.detectors.second import VoiceSecondLook
from monitor.inference.catalogue import Model
from monitor.inference.onnx import CPU, Session
from monitor.types import AbstentionReason, AudioWindow
from monitor.types.protocols import SecondLook

MAX_MISSING = 0.5
"""Seconds of a window that may be missing: concealment and holes look like splices."""
MIN_SPEECH = 1.0
"""Seconds of speech the network was trained to judge."""
_ANY_SPEECH = 0.1
"""Seconds of speech below which a window counts as silent."""


def unjudgeable(window: AudioWindow) -> AbstentionReason | None:
    """Return why a window must not be judged, or None."""
    if window.missing_seconds > MAX_MISSING:
        return AbstentionReason.GAP
    if window.speech_seconds < _ANY_SPEECH:
        return AbstentionReason.SILENCE
    if window.speech_seconds < MIN_SPEECH:
        return AbstentionReason.TOO_LITTLE_SPEECH
    return None


class VoiceDetector:
    """The spoof network of `models/voice`: waveforms in, one logit each out.

    `judge` is the first look; `second`, where the model has one, is taken later and elsewhere, so
    that it never keeps other windows waiting for their first.
    """

    name = "voice"

    def __init__(self, model: Model, providers: Sequence[str] = (CPU,)) -> None:
        self.model = model.version
        self._session = Session(model.path, providers)
        self.second: SecondLook | None = (
            VoiceSecondLook(model.second, model.sha256, providers)
            if model.second is not None
            else None
        )
        # The first run allocates; a call should not pay for it.
        self._session.run({self._session.inputs[0]: np.zeros((1, 48_000), np.float32)})

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        """Return one logit per window, or the reason it has none."""
        results: list[float | AbstentionReason] = []
        for window in windows:
            reason = unjudgeable(window)
            logit = self._logit(window) if reason is None else 0.0
            if reason is None and not math.isfinite(logit):
                reason = AbstentionReason.FAULT
            results.append(logit if reason is None else reason)
        return results

    def _logit(self, window: AudioWindow) -> float:
        waveform = np.ascontiguousarray(window.samples[None], np.float32)
        return float(self._session.run({self._session.inputs[0]: waveform})[0].reshape(-1)[0])
