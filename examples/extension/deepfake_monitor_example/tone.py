"""A source: a sine of so many hertz, `tone:440`, for ten seconds."""

import asyncio

import numpy as np

from monitor.types import SAMPLE_RATE, AudioFrame, Tracks
from monitor.types.protocols import Intake

_SECONDS = 10
_PIECES = 50
"""A second."""


class ToneSource:
    """Live: what it gives is judged as it comes."""

    ingest = "tone"
    live = True

    def __init__(self, uri: str, participant: str) -> None:
        """Raise ValueError for a URI without a number of hertz."""
        _, _, hertz = uri.partition(":")
        if not hertz.isdecimal() or not 20 <= int(hertz) <= 8000:
            raise ValueError("tone: needs hertz between 20 and 8000")
        self._hertz = int(hertz)
        self._participant = participant

    async def run(self, intake: Intake) -> str:
        """Play the tone; the word is why the call ended."""
        await intake.put(Tracks(self._participant, audio=True, video=False))
        size = SAMPLE_RATE // _PIECES
        for number in range(_SECONDS * _PIECES):
            at = number / _PIECES
            await asyncio.sleep(at - intake.now())
            times = at + np.arange(size) / SAMPLE_RATE
            samples = 0.1 * np.sin(2 * np.pi * self._hertz * times)
            await intake.put(AudioFrame(self._participant, at, samples.astype(np.float32)))
        return "ended"
