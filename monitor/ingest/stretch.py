"""Sound stretched or squeezed by some per cent to where its clock has it, by libswresample."""

from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.filter import Graph

from monitor.types import SAMPLE_RATE, Waveform

_OPTIONS = "async=1600:min_comp=0.002:min_hard_comp=1000:comp_duration=1"
"""Soft compensation alone, from 2 ms on and of at most a tenth: nothing is dropped or filled in."""


class Stretch:
    """Resamples 16 kHz mono; what comes out begins where the first block did."""

    def __init__(self) -> None:
        graph = Graph()
        graph.threads = 1
        source = graph.add(
            "abuffer",
            sample_rate=str(SAMPLE_RATE),
            sample_fmt="flt",
            channel_layout="mono",
            time_base=f"1/{SAMPLE_RATE}",
        )
        resampler = graph.add("aresample", _OPTIONS)
        graph.link_nodes(source, resampler, graph.add("abuffersink")).configure()
        self._graph = graph

    def convert(self, samples: Waveform, at: float) -> Waveform:
        """Return what is ready after samples that belong to second `at`; may be empty."""
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = round(at * SAMPLE_RATE), Fraction(1, SAMPLE_RATE)
        return self._push(frame)

    def flush(self) -> Waveform:
        """Return what is still held; nothing may follow."""
        return self._push(None)

    def _push(self, frame: av.AudioFrame | None) -> Waveform:
        self._graph.push(frame)
        parts = [np.zeros(0, np.float32)]
        with suppress(EOFError, BlockingIOError):
            while True:
                parts.append(cast(av.AudioFrame, self._graph.pull()).to_ndarray()[0])
        return np.concatenate(parts)
