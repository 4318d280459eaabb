"""A slower, stronger look at windows of which the first one says least.

The lower blocks of a speech recogniser's encoder, frozen, under a linear head: they hear how
something is said, which survives codecs that hide what a network on the spectrum hears. The file
says itself how its logit is to be used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.inference.catalogue import CatalogueError
from monitor.inference.onnx import CPU, Session
from monitor.types import SAMPLE_RATE, AudioWindow, Fusion, LookRule

_SECONDS = 3
"""Of the window that the first run is made with."""


class VoiceSecondLook:
    """The loaded network; shared by all calls, keeps nothing between windows."""

    def __init__(self, path: Path, first: str, providers: Sequence[str] = (CPU,)) -> None:
        """`first` is the SHA-256 of the file whose looks come first.

        Raises CatalogueError if the file does not say how it is to be used, or with another one.
        """
        self._session = Session(path, providers)
        if (made_for := self._session.metadata.get("first")) != first:
            raise CatalogueError(f"{path}: made for a first look by {made_for}, not {first}")
        try:
            self.rule = _rule(self._session.metadata)
        except (KeyError, TypeError, ValueError) as error:
            raise CatalogueError(
                f"{path}: its metadata must hold narrow and wide (three numbers each), certain "
                f"and every (one each): {error}"
            ) from error
        # The first run allocates; a call should not pay for it.
        self._run(np.zeros(_SECONDS * SAMPLE_RATE, np.float32))

    def logit(self, window: AudioWindow) -> float:
        """Return this look's own logit (higher = more likely fake); NaN if it cannot judge."""
        return self._run(window.samples)

    def _run(self, samples: NDArray[np.float32]) -> float:
        waveform = np.ascontiguousarray(samples[None], np.float32)
        return float(self._session.run({self._session.inputs[0]: waveform})[0].reshape(-1)[0])


def _rule(said: Mapping[str, str]) -> LookRule:
    narrow, wide = (Fusion(*map(float, said[name].split())) for name in ("narrow", "wide"))
    return LookRule(narrow, wide, float(said["certain"]), float(said["every"]))
