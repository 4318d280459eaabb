"""A film → what callers send: encoded once, sent by all of them, again and again."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.video.codeccontext import VideoCodecContext

AudioCodec = Literal["pcmu", "opus"]
VideoCodec = Literal["vp8", "h264"]

PACKET = 0.02
"""Seconds of sound in a packet."""
FPS = 30
_RATES = {"pcmu": 8_000, "opus": 48_000}
_ENCODERS = {"pcmu": "pcm_mulaw", "opus": "libopus", "vp8": "libvpx", "h264": "libx264"}
_SIZES = {480: (640, 480, 1_000_000), 720: (1280, 720, 2_000_000)}
"""Pixels and bits per second by height."""
_OPTIONS = {
    "opus": {"application": "voip"},
    # As browsers encode.
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    # As cameras do: two B frames, a key frame every two seconds.
    "h264": {"preset": "veryfast", "bf": "2"},
}
_KEY_FRAMES = {"vp8": 300, "h264": 60}
"""Pictures from one key frame to the next."""


class FilmError(Exception):
    """A film that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is sent at once."""

    at: float
    """Seconds from the begin of the film at which it is sent."""
    shown: float
    """Seconds at which it is seen or heard: pictures may be sent before those they refer to."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Track:
    """One encoded stream of the film."""

    codec: str
    pieces: tuple[Piece, ...]
    seconds: float
    """Until it begins again."""

    def endless(self) -> Iterator[Piece]:
        """The pieces, over and over, on a time line that goes on."""
        base = 0.0
        while True:
            for piece in self.pieces:
                yield Piece(base + piece.at, base + piece.shown, piece.data)
            base += self.seconds


@dataclass(frozen=True, slots=True)
class Media:
    """What one caller sends."""

    audio: Track
    video: Track | None

    def save(self, path: Path) -> None:
        """Keep it for the callers' processes."""
        path.write_bytes(pickle.dumps(self))

    @classmethod
    def load(cls, path: Path) -> "Media":
        """Read what `save` of this very run has written."""
        return cast(Media, pickle.loads(path.read_bytes()))


def encode(
    film: Path, audio: AudioCodec, video: VideoCodec | None, height: int, longest: float
) -> Media:
    """Encode sound and, unless `video` is None, 30 pictures a second of this height.

    No more than `longest` seconds of the film are used.

    Raises FilmError if the film lacks one or is shorter than three seconds.
    """
    try:
        with av.open(str(film)) as container:
            if not container.streams.audio or (video and not container.streams.video):
                raise FilmError(f"{film.name}: needs sound and pictures")
            lengths = [
                float(s.duration * s.time_base)
                for s in (*container.streams.audio[:1], *container.streams.video[:1])
                if s.duration and s.time_base
            ] or [(container.duration or 0) / av.time_base]
        # Whole packets and pictures, so that nothing jumps where it begins again.
        seconds = int(min(*lengths, longest) * 10) / 10
        if seconds < 3:
            raise FilmError(f"{film.name}: shorter than three seconds")
        return Media(
            _audio(film, audio, seconds),
            None if video is None else _video(film, video, height, seconds),
        )
    except (av.error.FFmpegError, OSError) as error:
        raise FilmError(f"{film.name}: {getattr(error, 'strerror', error)}") from error


def _audio(film: Path, codec: AudioCodec, seconds: float) -> Track:
    rate = _RATES[codec]
    encoder = cast(AudioCodecContext, av.CodecContext.create(_ENCODERS[codec], "w"))
    encoder.sample_rate, encoder.format, encoder.layout = rate, "s16", "mono"
    if codec == "opus":
        encoder.bit_rate = 32_000
    encoder.options = _OPTIONS.get(codec, {})
    resampler = AudioResampler("s16", "mono", rate, round(rate * PACKET))
    encoded: list[bytes] = []
    with av.open(str(film)) as container:
        for frame in [*container.decode(container.streams.audio[0]), None]:
            for sound in resampler.resample(frame):
                if sound.samples == round(rate * PACKET):
                    encoded += [bytes(packet) for packet in encoder.encode(sound)]
    encoded = encoded[: round(seconds / PACKET)]
    pieces = (Piece(i * PACKET, i * PACKET, data) for i, data in enumerate(encoded))
    return Track(codec, tuple(pieces), seconds)


def _video(film: Path, codec: VideoCodec, height: int, seconds: float) -> Track:
    encoder = cast(VideoCodecContext, av.CodecContext.create(_ENCODERS[codec], "w"))
    encoder.width, encoder.height, encoder.bit_rate = _SIZES[height]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.gop_size, encoder.options = _KEY_FRAMES[codec], _OPTIONS[codec]
    packets: list[av.Packet[Any]] = []
    wanted, count = 0, round(seconds * FPS)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        for frame in container.decode(stream):
            at = (frame.time or 0.0) - start
            if at > seconds:
                break
            while wanted < count and wanted / FPS <= at + 0.5 / FPS:
                picture = frame.reformat(encoder.width, encoder.height, "yuv420p")
                picture.pts, picture.time_base = wanted, Fraction(1, FPS)
                picture.pict_type = av.video.frame.PictureType.NONE
                packets += encoder.encode(picture)
                wanted += 1
    packets += encoder.encode(None)
    pieces = (
        Piece(i / FPS, (packet.pts or 0) / FPS, bytes(packet)) for i, packet in enumerate(packets)
    )
    return Track(codec, tuple(pieces), len(packets) / FPS)
