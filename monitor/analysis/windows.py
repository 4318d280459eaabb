"""Audio frames of one participant → overlapping windows on the call's grid. Pure.

    call time   0    1    2    3    4    5
    window A    [==============)
    window B         [==============)
    fresh of A  [==============)
    fresh of B                 [====)

Every second of audio, present or not, is inside the `fresh` part of exactly one window.
"""

import math
from collections.abc import Iterator

import numpy as np

from monitor.types import (
    SAMPLE_RATE,
    AudioFrame,
    AudioWindow,
    Gap,
    LostReason,
    Span,
    Waveform,
)

_JITTER = 0.02
"""Seconds a frame may be early or late and still continue the one before: timestamps of
telephony and of resampled streams are rounded."""


class AudioWindower:
    """Cuts one participant's audio into windows of `length` seconds every `hop` seconds."""

    def __init__(self, participant: str, length: float = 3.0, hop: float = 1.0) -> None:
        self._participant = participant
        self._length = round(length * SAMPLE_RATE)
        self._hop = round(hop * SAMPLE_RATE)
        self._samples: Waveform = np.zeros(0, np.float32)
        self._pending: list[Waveform] = []
        self._base = 0
        """Sample index, from call time 0, of the first buffered sample."""
        self._end = -1
        """Sample index just after the last buffered sample; -1 before the first frame."""
        self._accounted = 0
        """Everything before this sample index was inside an earlier window's `fresh`."""
        self._next = 0
        """Sample index at which the next window ends."""
        self._gaps: list[tuple[int, int, LostReason]] = []
        self._corrected: list[tuple[int, int, float]] = []
        """First and last sample index of what was corrected, and by how many seconds."""
        self.cut = 0.0
        """Seconds of sound that came after its time was accounted for, and was left out."""

    @property
    def end(self) -> float | None:
        """Call seconds up to which media was pushed, or None before the first frame."""
        return None if self._end < 0 else self._end / SAMPLE_RATE

    def push(
        self, frame: AudioFrame, reason: LostReason = LostReason.NETWORK
    ) -> Iterator[AudioWindow]:
        """Add a frame; yield the windows it completes. A hole before it is lost for `reason`."""
        start = round(frame.start * SAMPLE_RATE)
        if self._end < 0:
            self._begin(start)
        late = start - self._end
        samples, corrected = frame.samples, frame.corrected
        if late > _JITTER * SAMPLE_RATE:
            yield from self._skip(start, reason)
        elif late < -_JITTER * SAMPLE_RATE:
            # Silence that nobody sent is no loss.
            cut = min(-late, len(samples)) / SAMPLE_RATE if samples[:-late].any() else 0.0
            self.cut += cut
            corrected += cut
            samples = samples[-late:]
        if corrected:
            self._corrected.append((self._end, self._end + len(samples), corrected))
        yield from self._append(samples)

    def gap(self, gap: Gap) -> Iterator[AudioWindow]:
        """Record that nothing arrived until `gap.span.end`, for a known reason."""
        end = round(gap.span.end * SAMPLE_RATE)
        if self._end < 0:
            self._begin(round(gap.span.start * SAMPLE_RATE))
        if end > self._end:
            yield from self._skip(end, gap.reason)

    def flush(self) -> Iterator[AudioWindow]:
        """Yield the last window, ending with the audio instead of on the grid."""
        if self._end > self._accounted:
            yield self._window(self._end)

    def _begin(self, start: int) -> None:
        self._base = self._end = self._accounted = start
        # A window may lack the half second before the first frame, no more.
        self._next = math.ceil((start + self._length - SAMPLE_RATE // 2) / self._hop) * self._hop

    def _append(self, samples: Waveform) -> Iterator[AudioWindow]:
        if len(samples):
            self._pending.append(samples)
            self._end += len(samples)
        while self._end >= self._next:
            yield self._window(self._next)
            self._next += self._hop

    def _skip(self, end: int, reason: LostReason) -> Iterator[AudioWindow]:
        """Fill with silence up to sample index `end`; long gaps become one empty window."""
        self._gaps.append((self._end, end, reason))
        last_with_media = self._end + self._length
        filled = min(end, last_with_media)
        yield from self._append(np.zeros(filled - self._end, np.float32))
        if end <= last_with_media:
            return
        bulk_end = end // self._hop * self._hop
        if bulk_end > self._accounted:
            span = Span(self._accounted / SAMPLE_RATE, bulk_end / SAMPLE_RATE)
            yield AudioWindow(
                participant=self._participant,
                span=span,
                fresh=span,
                samples=np.zeros(0, np.float32),
                speech_seconds=0.0,
                missing_seconds=span.duration,
                lost=self._lost(self._accounted, bulk_end),
            )
            self._accounted = bulk_end
        self._pending.clear()
        self._samples = np.zeros(max(0, end - bulk_end), np.float32)
        self._base, self._end = bulk_end, end
        self._next = bulk_end + self._hop
        self._forget()

    def _window(self, end: int) -> AudioWindow:
        self._samples = np.concatenate([self._samples, *self._pending])
        self._pending.clear()
        start = max(end - self._length, self._base)
        window = AudioWindow(
            participant=self._participant,
            span=Span(start / SAMPLE_RATE, end / SAMPLE_RATE),
            fresh=Span(self._accounted / SAMPLE_RATE, end / SAMPLE_RATE),
            samples=self._samples[start - self._base : end - self._base],
            speech_seconds=0.0,
            missing_seconds=sum(g.span.duration for g in self._lost(start, end)),
            lost=self._lost(self._accounted, end),
            corrected_seconds=self._corrected_within(start, end),
        )
        self._accounted = end
        if start > self._base:
            # The last window ends off the grid, so a whole length is kept.
            self._samples = self._samples[start - self._base :]
            self._base = start
        self._forget()
        return window

    def _lost(self, start: int, end: int) -> tuple[Gap, ...]:
        return tuple(
            Gap(self._participant, Span(max(a, start) / SAMPLE_RATE, min(b, end) / SAMPLE_RATE), r)
            for a, b, r in self._gaps
            if a < end and b > start
        )

    def _corrected_within(self, start: int, end: int) -> float:
        """Seconds; of what lies in several windows, each has its share."""
        return sum(
            seconds * ((min(b, end) - max(a, start)) / (b - a) if b > a else 1.0)
            for a, b, seconds in self._corrected
            if a < end and b > start or start <= a == b < end
        )

    def _forget(self) -> None:
        self._gaps = [g for g in self._gaps if g[1] > self._base]
        self._corrected = [c for c in self._corrected if c[1] > self._base]
