"""Decoded media → a small encoding of it, for evidence that cannot be kept as it arrived."""

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.video.reformatter import VideoReformatter

from monitor.types import SAMPLE_RATE, AudioFrame, VideoFrame, Waveform
from monitor.types.packet import EncodedPacket, Encoding, PacketTarget

_BLOCK = SAMPLE_RATE // 50
"""Samples of one Opus packet: 20 ms."""
_BIT_RATE = 24_000
"""Bits per second: enough to recognise a voice, and an artefact in it."""
_PICTURE_STEP = 1.0
"""Seconds between pictures."""
_HEIGHT = 360
"""Pixels; higher pictures are scaled down."""
_SEAM = 0.1
"""Seconds by which frames may be apart and still be encoded as one stretch."""


class LowRateSound:
    """Encodes one participant's audio as Opus."""

    def __init__(self, keep: PacketTarget) -> None:
        self._keep = keep
        self._encoder: AudioCodecContext | None = None
        self._encoding = Encoding("audio", "opus", SAMPLE_RATE, 1, native=False)
        self._left: Waveform = np.zeros(0, np.float32)
        self._at = 0.0
        """Call seconds of the first sample in `_left`."""

    def take(self, frame: AudioFrame) -> None:
        """Encode a frame."""
        if self._encoder is None or abs(frame.start - self._at - len(self._left) / SAMPLE_RATE) > (
            _SEAM
        ):
            self._restart(frame.start)
        assert self._encoder is not None
        self._left = np.concatenate([self._left, frame.samples])
        while len(self._left) >= _BLOCK:
            block = (self._left[None, :_BLOCK] * 32767).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            sound.sample_rate = SAMPLE_RATE
            for packet in self._encoder.encode(sound):
                self._keep(
                    EncodedPacket(
                        frame.participant, self._encoding, bytes(packet), self._at, 0.02, True
                    )
                )
            self._left = self._left[_BLOCK:]
            self._at += _BLOCK / SAMPLE_RATE

    def _restart(self, at: float) -> None:
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.format, encoder.layout = SAMPLE_RATE, "s16", "mono"
        encoder.bit_rate = _BIT_RATE
        encoder.options = {"application": "voip"}
        self._encoder = encoder
        self._left, self._at = np.zeros(0, np.float32), at


class LowRatePictures:
    """Encodes one participant's video as single JPEG pictures."""

    def __init__(self, keep: PacketTarget) -> None:
        self._keep = keep
        self._next = float("-inf")
        self._reformatter = VideoReformatter()

    def take(self, frame: VideoFrame) -> None:
        """Encode a picture if one is due."""
        if frame.time < self._next:
            return
        self._next = frame.time + _PICTURE_STEP
        height, width = frame.image.shape[:2]
        scale = min(1.0, _HEIGHT / height)
        # Even sizes: the chroma has half as many pixels.
        size = max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(frame.image, format="rgb24"), *size, "yuvj420p"
        )
        picture.pts = 0
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height = size
        encoder.pix_fmt, encoder.framerate = "yuvj420p", Fraction(1)
        encoding = Encoding("video", "mjpeg", width=size[0], height=size[1], native=False)
        for packet in [*encoder.encode(picture), *encoder.encode(None)]:
            self._keep(
                EncodedPacket(frame.participant, encoding, bytes(packet), frame.time, 0.0, True)
            )
