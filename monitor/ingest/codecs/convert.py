"""Decoded PyAV frames → 16 kHz mono float32 audio and sampled pictures."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation, VideoReformatter

from monitor.ingest.codecs.mix import Channels, Mix
from monitor.ingest.codecs.orientation import orientation
from monitor.types import SAMPLE_RATE, Image, Waveform
from monitor.types.sampling import Pace, Sampling


class Resampler:
    """Resamples one track's frames to 16 kHz; keeps the filter's state between frames."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple[int, str, str] | None = None
        """What the graph takes: sample rate, format, layout."""

    def resample(self, *frames: av.AudioFrame) -> list[Channels]:
        """Return what is ready, a piece for each number of channels; there may be none.

        Several frames, alike and one after the other, cost hardly more than one.
        """
        shape = (frames[0].sample_rate, frames[0].format.name, frames[0].layout.name)
        made: list[av.AudioFrame] = []
        if self._graph is None or shape != self._shape:
            made += self._push(None)
            self._graph, self._shape = _resampling(*shape), shape
        before = _pieces(made)
        made = []
        for frame in _joined(frames):
            made += self._push(frame)
        return before + _pieces(made)

    def flush(self) -> list[Channels]:
        """Return what the filter still holds; what is resampled next begins anew."""
        held = self._push(None)
        self._graph = None
        return _pieces(held)

    def _push(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """What comes out after `frame`; with None, what was held back."""
        if self._graph is None:
            return []
        self._graph.push(frame)
        found = []
        with suppress(EOFError, BlockingIOError):
            while True:
                found.append(cast(av.AudioFrame, self._graph.pull()))
        return found


class AudioConverter:
    """One track's frames → 16 kHz mono."""

    def __init__(self) -> None:
        self._resampler = Resampler()
        self._mix = Mix()

    @property
    def different(self) -> bool:
        """Whether what was made one were channels with different voices."""
        return self._mix.different

    def convert(self, *frames: av.AudioFrame) -> Waveform:
        """Return the samples that are ready, shape (samples,); may be empty.

        Several frames, alike and one after the other, cost hardly more than one.
        """
        return self._mono(self._resampler.resample(*frames))

    def flush(self) -> Waveform:
        """Return what is still held; what is converted next begins anew."""
        return self._mono(self._resampler.flush())

    def _mono(self, pieces: list[Channels]) -> Waveform:
        parts = [self._mix.mono(piece) for piece in pieces]
        if not parts:
            return np.zeros(0, np.float32)
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.clip(samples, -1.0, 1.0, out=samples) if len(pieces[0]) > 1 else samples


def _pieces(frames: list[av.AudioFrame]) -> list[Channels]:
    frames = [frame for frame in frames if frame.samples]
    if not frames:
        return []
    samples: Channels = np.concatenate(
        [
            np.frombuffer(
                memoryview(frame.planes[0]), np.float32, frame.samples * frame.layout.nb_channels
            ).reshape(frame.samples, -1)
            for frame in frames
        ],
        axis=0,
    ).T
    # A float stream may hold anything. One NaN would stay in every recurrent state after it.
    np.clip(samples, -1.0, 1.0, out=samples)
    if np.isnan(samples).any():
        np.nan_to_num(samples, copy=False)
    return [samples]


def _resampling(rate: int, sample_format: str, layout: str) -> Graph:
    """A filter graph from such frames to 16 kHz float32, channels side by side.

    PyAV's AudioResampler builds the same, with a thread for every core that this never uses.
    FFmpeg does not mix: in float it makes the sum of two channels, and leaves some layouts' out.
    """
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "abuffer", sample_rate=str(rate), sample_fmt=sample_format, channel_layout=layout
    )
    target = graph.add("aformat", sample_rates=str(SAMPLE_RATE), sample_fmts="flt")
    graph.link_nodes(source, target, graph.add("abuffersink")).configure()
    return graph


def _joined(frames: Sequence[av.AudioFrame]) -> Sequence[av.AudioFrame]:
    first = frames[0]
    if len(frames) == 1 or first.layout.nb_channels > _MOST_PLANES:
        return frames
    width = first.format.bytes * (1 if first.format.is_planar else first.layout.nb_channels)
    samples = sum(frame.samples for frame in frames)
    joined = av.AudioFrame(first.format.name, first.layout.name, samples, align=1)
    for number, whole in enumerate(joined.planes):
        parts = (memoryview(frame.planes[number])[: width * frame.samples] for frame in frames)
        whole.update(b"".join(parts))
    joined.sample_rate = first.sample_rate
    return [joined]


_MOST_PLANES = 7
"""PyAV does not tell how many planes a frame of more channels has, nor where they are."""
BLOCK = 0.25
"""Seconds of sound that are converted and handed over at once. A call costs more than its work on
the 20 ms of a packet, and a block ends where a window may, so that no window waits for it."""
_HELD = 0.003
"""Seconds that the resampler holds back; a window's end is out when so much more has come."""


def ends_block(start: float, end: float) -> bool:
    """Whether sound from `start` to `end` (call seconds) completes a block of the call's grid."""
    return math.floor((end - _HELD) / BLOCK) > math.floor((start - _HELD) / BLOCK)


_RATE_SECONDS = 4.0
"""Seconds that a bit rate is measured over: longer than most distances of key frames."""


class DecodedPicture:
    """A picture as its decoder left it, half as large as its RGB; calling it gives that."""

    def __init__(self, frame: av.VideoFrame, reformat: Callable[[av.VideoFrame], Image]) -> None:
        self._held: av.VideoFrame | Image = frame
        self._reformat = reformat

    def __call__(self) -> Image:
        """The picture, shape (height, width, 3), RGB; converted once."""
        held = self._held
        if isinstance(held, av.VideoFrame):
            # Two threads at once would both convert, to the same.
            held = self._held = self._reformat(held)
        return held


class VideoSampler:
    """Picks the pictures that are due; only those become RGB, scaled down to a largest width."""

    def __init__(self, sampling: Sampling, max_width: int) -> None:
        self.most_pixels = sampling.most_pixels
        """Larger pictures are not to be decoded."""
        self._pace = Pace(sampling.rate)
        self._max_width = max_width
        self._arrived: deque[tuple[float, int]] = deque()
        self._size = 0
        """Bytes of the pictures in `_arrived`."""
        self._pixels = 0
        self._reformatter = VideoReformatter()
        # Pictures are converted where they are looked at.
        self._lock = threading.Lock()

    def arrived(self, size: int, time: float) -> None:
        """Count an encoded picture of `size` bytes, about to be decoded, at `time`."""
        while self._arrived and not 0 <= time - self._arrived[0][0] <= _RATE_SECONDS:
            self._size -= self._arrived.popleft()[1]
        self._arrived.append((time, size))
        self._size += size

    @property
    def bits_per_pixel(self) -> float:
        """Encoded bits for each pixel of the last seconds' pictures; NaN if none was counted."""
        if not self._arrived or not self._pixels:
            return math.nan
        return 8 * self._size / (self._pixels * len(self._arrived))

    def wanted(self, time: float) -> bool:
        """Whether a picture of `time` may yet be sampled; False is final."""
        return self._pace.reached(time)

    def sample(
        self, frame: av.VideoFrame, time: float, aspect: Fraction | None = None
    ) -> DecodedPicture | None:
        """Return the picture if one is due at `time` (call seconds), else None.

        `aspect` is the width of a stored pixel by its height; what is returned has square ones and
        stands upright.
        """
        self._pixels = frame.width * frame.height
        if not self._pace.due(time):
            return None
        picture = DecodedPicture(frame, partial(self._rgb, aspect=aspect))
        if frame.width > self._max_width:
            # Smaller so than as it was decoded.
            picture()
        return picture

    def _rgb(self, frame: av.VideoFrame, aspect: Fraction | None) -> Image:
        shown = orientation(frame, aspect)
        width, height = shown.size(frame.width, frame.height)
        scale = min(1.0, self._max_width / width)
        # Even sizes: swscale's fast paths need them.
        width = max(2, round(width * scale) // 2 * 2)
        height = max(2, round(height * scale) // 2 * 2)
        if shown.transposed:
            width, height = height, width
        with self._lock:
            rgb = self._reformatter.reformat(
                frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA
            )
        return shown.upright(rgb.to_ndarray().astype(np.uint8, copy=False))


def seconds(pts: int | None, time_base: Fraction | None) -> float | None:
    """Presentation time in seconds, or None if the frame carries none."""
    if pts is None or time_base is None:
        return None
    return pts * time_base.numerator / time_base.denominator


def decode_audio(path: Path | str) -> Waveform:
    """Decode the first audio stream of a file whole; the same conversion as live media gets.

    Raises av.error.FFmpegError for a file that cannot be opened, ValueError without audio.
    """
    return np.concatenate([np.zeros(0, np.float32), *_decode(path)])


def _decode(path: Path | str) -> Iterator[Waveform]:
    converter = AudioConverter()
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError(f"{path}: no audio stream")
        for frame in container.decode(container.streams.audio[0]):
            yield converter.convert(frame)
    yield converter.flush()
