"""Recordings as equipment and people make them, generated; FFmpeg's encoders through PyAV."""

import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.stream import Stream
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Draw = Callable[[int], NDArray[np.uint8]]
FORMATS = {
    "aac": ("aac", "adts", 16_000),
    "mp3": ("libmp3lame", "mp3", 16_000),
    "flac": ("flac", "flac", 16_000),
    "opus": ("libopus", "ogg", 48_000),
    "webm": ("libopus", "webm", 48_000),
    "mkv": ("aac", "matroska", 16_000),
    "ts": ("aac", "mpegts", 16_000),
    "mpg": ("mp2", "mpeg", 48_000),
    "mp4": ("aac", "mp4", 16_000),
    "flv": ("aac", "flv", 44_100),
    "wav": ("pcm_s16le", "wav", 16_000),
    "aiff": ("pcm_s16be", "aiff", 16_000),
    "amr": ("libopencore_amrnb", "amr", 8_000),
    "avi": ("libmp3lame", "avi", 16_000),
}
"""Codec, FFmpeg's format, rate in hertz; by what files are called."""
_SIZE = (64, 48)
_PICTURES = 10
"""A second."""


def humming(seconds: float, seed: int = 1, rate: int = 16_000) -> Sound:
    """A pulse train whose pitch and loudness move: no speech, and compresses like it."""
    t = np.arange(round(seconds * rate)) / rate
    pitch = 110 + 40 * np.sin(2 * np.pi * 0.6 * t + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    pulses = sum(np.sin(n * phase) / n for n in range(1, 16))
    swell = 0.3 + 0.3 * np.sin(2 * np.pi * 1.9 * t) ** 2
    noise = np.random.default_rng(seed).normal(0, 0.01, len(t))
    return (0.25 * pulses * swell + noise).astype(np.float32).clip(-1, 1)


def encoded(
    path: Path,
    sound: Sound | None,
    codec: str,
    form: str,
    rate: int,
    *,
    pictures: float = 0.0,
    late: float = 0.0,
    size: tuple[int, int] = _SIZE,
    draw: Draw | None = None,
) -> Path:
    """Write sound (16 kHz, one channel) that begins `late`, and seconds of pictures."""
    packets: list[av.Packet[Stream]] = []
    with av.open(str(path), "w", format=form) as out:
        # Streams before packets: headers name them all.
        video = None
        if pictures:
            options = {"preset": "ultrafast", "g": "10"}
            video = out.add_stream("libx264", rate=_PICTURES, options=options)
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = None
        if sound is not None:
            audio = cast(av.AudioStream, out.add_stream(codec, rate=rate))
            audio.layout = "mono"
            packets += _sound(audio, sound, rate, late)
        if video is not None:
            packets += _pictures(video, round(pictures * _PICTURES), size, draw)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            out.mux(packet)
    return path


def _sound(
    stream: av.AudioStream, sound: Sound, rate: int, late: float
) -> list["av.Packet[Stream]"]:
    assert stream.codec_context.format is not None
    resampler = av.AudioResampler(stream.codec_context.format.name, "mono", rate)
    frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], "s16", "mono")
    frame.sample_rate = 16_000
    fifo = AudioFifo()
    for each in [*resampler.resample(frame), *resampler.resample(None)]:
        each.pts = None
        fifo.write(each)
    packets: list[av.Packet[Stream]] = []
    at = round(late * rate)
    stream.codec_context.open()
    size = stream.codec_context.frame_size or 1024
    while (piece := fifo.read(size, partial=True)) is not None:
        piece.pts, piece.time_base = at, Fraction(1, rate)
        at += piece.samples
        packets += stream.encode(piece)
    return packets + stream.encode(None)


def _pictures(
    stream: av.VideoStream, count: int, size: tuple[int, int], draw: Draw | None
) -> list["av.Packet[Stream]"]:
    packets: list[av.Packet[Stream]] = []
    for number in range(count):
        grey = np.full((size[1], size[0], 3), number * 5 % 255, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey if draw is None else draw(number), "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, _PICTURES)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def recorded(path: Path, seconds: float, *, seed: int = 1, pictures: float = 0.0) -> Path:
    """Write a file of one of FORMATS, chosen by the path's ending."""
    codec, form, rate = FORMATS[path.suffix[1:]]
    return encoded(path, humming(seconds, seed), codec, form, rate, pictures=pictures)


def joined(path: Path, *parts: Path) -> Path:
    """Files one after the other, as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


Change = Callable[[str, float], float | None]
"""Kind of stream and time of a packet → what is added to it, or None to leave the packet out."""


def remuxed(path: Path, source: Path, form: str, change: Change) -> Path:
    """Copy packets into another file with their times changed."""
    with av.open(str(source)) as read, av.open(str(path), "w", format=form) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in read.streams}
        for packet in read.demux():
            if packet.dts is None or packet.pts is None:
                continue
            added = change(packet.stream.type, float(packet.dts * packet.time_base))
            if added is None:
                continue
            shift = round(added / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    return path


def spoilt(path: Path, at: float, length: int = 300, seed: int = 1) -> Path:
    """Put chance in place of `length` bytes, beginning at a share of the file."""
    data = bytearray(path.read_bytes())
    first = int(len(data) * at)
    data[first : first + length] = np.random.default_rng(seed).bytes(length)
    path.write_bytes(data)
    return path


def write_wav(path: Path, *channels: Sound, rate: int = 16_000) -> Path:
    """Write 16-bit samples, one array a channel."""
    with wave.open(str(path), "wb") as out:
        out.setparams((len(channels), 2, rate, 0, "NONE", ""))
        out.writeframes((np.stack(channels, 1) * 32767).astype("<i2").tobytes())
    return path


def stating(path: Path, size: int) -> Path:
    """Put another size of its samples, in bytes, into a WAV's header."""
    data = bytearray(path.read_bytes())
    at = data.find(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    return path
