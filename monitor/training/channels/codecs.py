"""Round trips through real codecs, in memory: what speech sounds like after the line."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.resampler import AudioResampler

from monitor.ingest.codecs.convert import AudioConverter
from monitor.training.channels import encoders, g729
from monitor.training.data.store import Pcm, to_pcm
from monitor.types import SAMPLE_RATE, Waveform


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder, of PyAV or a Debian library, and what may be chosen about it."""

    name: str
    encoder: str
    """FFmpeg's name for it."""
    container: str
    """Empty: from packet to packet, without a file."""
    rate: int
    """Hz"""
    bit_rates: tuple[int, ...]
    """bit/s; empty if the codec has one."""
    weight: float = 1.0
    """How often it is drawn, against 1: what models the voice instead of the wave changes it
    most, and speech through it is easily taken for a synthesiser's."""


CODECS: Sequence[Codec] = (
    Codec("opus-wide", "libopus", "ogg", 16_000, (16_000, 20_000, 24_000, 32_000)),
    Codec(
        "amr",
        "libopencore_amrnb",
        "amr",
        8_000,
        (4_750, 5_900, 7_400, 7_950, 10_200, 12_200),
        weight=3,
    ),
    Codec("opus-low", "libopus", "ogg", 16_000, (8_000, 10_000, 12_000, 14_000)),
    Codec("mp3", "libmp3lame", "mp3", 16_000, (16_000, 24_000, 32_000, 48_000, 64_000)),
    Codec("opus-narrow", "libopus", "ogg", 8_000, (6_000, 8_000, 10_000, 12_000), weight=1.5),
    Codec("g722", "g722", "", 16_000, ()),
    Codec("aac", "aac", "adts", 16_000, (24_000, 32_000, 48_000)),
    Codec("g726", "g726", "wav", 8_000, (16_000, 24_000, 32_000, 40_000)),
    Codec("g729", "g729", "", 8_000, (), weight=3),
    Codec("gsm", "gsm", "", 8_000, (), weight=3),
    Codec("amr-wb", "amrwb", "", 16_000, encoders.AMR_WB_RATES[:6], weight=2),
    Codec("speex", "speex", "", 8_000, (5_950, 8_000, 11_000, 15_000), weight=2.5),
    Codec("g723", "g723_1", "", 8_000, (), weight=2),
    Codec("codec2", "codec2", "", 8_000, (1_300, 2_400, 3_200), weight=0.5),
)
"""Telephone networks, conferences, and what messengers and web pages pack speech into."""


def codec_named(name: str) -> Codec:
    """One of CODECS; raises StopIteration if there is none of this name."""
    return next(codec for codec in CODECS if codec.name == name)


def through_codec(samples: Waveform, codec: Codec, bit_rate: int) -> Waveform:
    """Encode and decode; same length, delay left in, level kept."""
    peak = float(np.max(np.abs(samples), initial=1e-6))
    audio = samples * np.float32(0.5 / peak)
    decoded = (
        _container(audio, codec, bit_rate) if codec.container else _bare(audio, codec, bit_rate)
    )
    out = np.zeros_like(samples)
    size = min(len(out), len(decoded))
    out[:size] = decoded[:size]
    return out * np.float32(peak / 0.5)


def _frames(audio: Waveform, sample_format: str, rate: int) -> Iterator[av.AudioFrame]:
    frame = _frame(to_pcm(audio), SAMPLE_RATE)
    resampler = AudioResampler(format=sample_format, layout="mono", rate=rate)
    for ready in [*resampler.resample(frame), *resampler.resample(None)]:
        ready.pts = None
        yield ready


def _frame(pcm: Pcm, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    return frame


def _container(audio: Waveform, codec: Codec, bit_rate: int) -> Waveform:
    """Through a file in memory, which carries what the decoder must be told."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container) as container:
        # Opus at medium effort: half the time of full effort for nearly the same sound.
        options = {"compression_level": "3"} if codec.encoder == "libopus" else {}
        stream = container.add_stream(codec.encoder, rate=codec.rate, options=options)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        stream.bit_rate = bit_rate
        for frame in _frames(audio, stream.format.name, codec.rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    converter = AudioConverter()
    with av.open(buffer, "r") as reader:
        parts = [converter.convert(frame) for frame in reader.decode(audio=0)]
    return np.concatenate([*parts, converter.flush()])


def _bare(audio: Waveform, codec: Codec, bit_rate: int) -> Waveform:
    """From packet to packet, for a codec without a container of its own."""
    frames = list(_frames(audio, "s16", codec.rate))
    converter = AudioConverter()
    if codec.encoder in _WHOLE_TRIPS:
        heard = _WHOLE_TRIPS[codec.encoder](_samples(frames), bit_rate)
        return np.concatenate([converter.convert(_frame(heard, codec.rate)), converter.flush()])
    if codec.encoder in _LIBRARIES:
        coded = _LIBRARIES[codec.encoder](_samples(frames), bit_rate)
        packets = (av.Packet(payload) for payload in coded)
    else:
        encoder = _context(codec, "w")
        encoder.format = av.AudioFormat("s16")
        if codec.encoder == "g723_1":
            encoder.bit_rate = _G723_RATE
        packets = (packet for frame in frames for packet in encoder.encode(frame))
    decoder = _context(codec, "r")
    parts = []
    for packet in packets:
        for decoded in decoder.decode(packet):
            decoded.pts = None
            parts.append(converter.convert(decoded))
    return np.concatenate([*parts, converter.flush()])


_G723_RATE = 6_300
"""bit/s: the one that FFmpeg encodes."""
_LIBRARIES: Mapping[str, Callable[[Pcm, int], Iterator[bytes]]] = {
    "g729": lambda samples, _: g729.encode(samples),
    "gsm": lambda samples, _: encoders.gsm(samples),
    "amrwb": encoders.amr_wb,
}
"""By FFmpeg's decoder: encoders that PyAV lacks."""
_WHOLE_TRIPS: Mapping[str, Callable[[Pcm, int], Pcm]] = {
    "speex": encoders.speex_round_trip,
    "codec2": encoders.codec2_round_trip,
}
"""Libraries that decode as well."""


def _samples(frames: Sequence[av.AudioFrame]) -> Pcm:
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _context(codec: Codec, mode: Literal["r", "w"]) -> av.AudioCodecContext:
    context = av.CodecContext.create(codec.encoder, mode)
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = codec.rate
    context.layout = "mono"
    return context
