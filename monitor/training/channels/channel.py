"""The way from mouth to monitor, drawn once and applied to a whole group of recordings.

A draw fixes everything that belongs to the place, the microphone and the line; a group of
human and synthetic recordings that share a draw differ only in what they are.
Distortions after RawBoost (arXiv 2111.04433); everything works on (recordings, samples).
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from monitor.training.channels.codecs import CODECS, Codec, codec_named, through_codec
from monitor.training.channels.packets import CONCEALMENTS, lose_packets
from monitor.training.channels.processing import control_gain, suppress_noise
from monitor.types import SAMPLE_RATE

Signals = NDArray[np.float32]
"""Shape (recordings, samples), 16 kHz."""
NARROW_RATE = 8_000
_CODEC_SHARES = np.array([codec.weight for codec in CODECS]) / sum(c.weight for c in CODECS)
_MU = 255.0
_A = 87.6


@dataclass(frozen=True, slots=True)
class ChannelOdds:
    """How often each impairment is drawn."""

    equaliser: float = 0.7
    reverberation: float = 0.25
    noise: float = 0.55
    band: float = 0.45
    """Low-pass, high-pass or both."""
    telephone: float = 0.35
    """8 kHz and a companding quantiser: G.711."""
    codec: float = 0.45
    """A real encoder and decoder: the dearest impairment by far."""
    tandem: float = 0.2
    """Share of the channels with a codec that pass a second one: from network to network."""
    presented: float = 0.12
    """Out of a loudspeaker in a small room, and into the telephone."""
    gain_control: float = 0.15
    noise_removal: float = 0.15
    loss: float = 0.3
    lossy_opus: float = 0.2
    """Share of the channels with lost packets that get Opus where no codec was drawn: what
    carries a call over a poor network."""
    clipping: float = 0.08
    nonlinearity: float = 0.15
    impulses: float = 0.1


@dataclass(frozen=True, slots=True)
class ChannelDraw:
    """One channel: a seed for what is random per sample, and its fixed parameters."""

    seed: int
    gain: float
    response: NDArray[np.float32]
    """Magnitude at EQ_POINTS frequencies from 0 to 8 kHz."""
    reverberation: float
    """Seconds to -60 dB; 0 for none."""
    direct: float
    """Energy of the direct sound over that of the reverberation, dB."""
    snr: float
    """dB; inf for no noise."""
    noise_slope: float
    """Noise power falls with frequency to this power."""
    gain_control: tuple[float, float, float] | None
    """Attack and release in seconds, and strength."""
    noise_removal: tuple[float, float] | None
    """Overestimation of the noise, and the lowest gain."""
    telephone: str
    """"", "mu" or "a"."""
    codec: Codec | None
    bit_rate: int
    """Of the codec, bit/s."""
    onward: Codec | None
    """The codec of a second network, behind the first."""
    onward_bit_rate: int
    loss: float
    """Probability that a packet is lost."""
    conceal: str
    """What stands in for a lost packet: one of CONCEALMENTS."""
    clip: float
    """Share of the peak at which the signal is clipped; 1 for none."""
    cubic: float
    impulses: float
    """Share of samples with signal-dependent impulsive noise."""


EQ_POINTS = 65


def draw_channel(rng: Generator, odds: ChannelOdds | None = None) -> ChannelDraw:
    """Draw one channel."""
    odds = odds or ChannelOdds()
    frequency = np.linspace(0, SAMPLE_RATE / 2, EQ_POINTS)
    level = np.zeros(EQ_POINTS)
    if rng.random() < odds.equaliser:
        knots = rng.uniform(-6, 6, rng.integers(3, 9))
        level += np.interp(frequency, np.linspace(0, SAMPLE_RATE / 2, len(knots)), knots)
    telephone = rng.choice(["mu", "a"]) if rng.random() < odds.telephone else ""
    if rng.random() < odds.band or telephone:
        slope = rng.uniform(0.05, 0.5)  # dB per Hz of distance beyond the edge
        if rng.random() < 0.6 or telephone:
            top = rng.uniform(3300, 3900) if telephone else rng.uniform(3000, 7900)
            level -= np.minimum(np.maximum(frequency - top, 0) * slope, 80)
        if rng.random() < 0.6:
            level -= np.minimum(np.maximum(rng.uniform(50, 350) - frequency, 0) * slope, 40)
    presented = rng.random() < odds.presented
    if presented:
        level += _loudspeaker(frequency, rng)
    codec, bit_rate = _draw_codec(rng) if rng.random() < odds.codec else (None, 0)
    onward, onward_bit_rate = (
        _draw_codec(rng) if codec and rng.random() < odds.tandem else (None, 0)
    )
    loss = rng.uniform(0.01, 0.12) if rng.random() < odds.loss else 0.0
    if loss and codec is None and rng.random() < odds.lossy_opus:
        codec = codec_named("opus-low")
        bit_rate = int(rng.choice(codec.bit_rates))
    return ChannelDraw(
        seed=int(rng.integers(2**32)),
        gain=float(10 ** rng.uniform(-1.5, 0)),
        response=(10 ** (level / 20)).astype(np.float32),
        reverberation=(
            rng.uniform(0.08, 0.7) if presented or rng.random() < odds.reverberation else 0.0
        ),
        direct=rng.uniform(-2, 15),
        snr=rng.uniform(5, 32) if rng.random() < odds.noise else np.inf,
        noise_slope=rng.uniform(0, 2),
        gain_control=(
            (rng.uniform(0.002, 0.05), rng.uniform(0.05, 1.0), rng.uniform(0.3, 1.0))
            if rng.random() < odds.gain_control
            else None
        ),
        noise_removal=(
            (rng.uniform(1.0, 4.0), 10 ** rng.uniform(-1.3, -0.4))
            if rng.random() < odds.noise_removal
            else None
        ),
        telephone=str(telephone),
        codec=codec,
        bit_rate=bit_rate,
        onward=onward,
        onward_bit_rate=onward_bit_rate,
        loss=loss,
        conceal=str(rng.choice(CONCEALMENTS)),
        clip=rng.uniform(0.2, 0.8) if rng.random() < odds.clipping else 1.0,
        cubic=(rng.uniform(-0.4, 0.4) if presented or rng.random() < odds.nonlinearity else 0.0),
        impulses=rng.uniform(0.001, 0.02) if rng.random() < odds.impulses else 0.0,
    )


def _draw_codec(rng: Generator) -> tuple[Codec, int]:
    """A codec and one of its bit rates."""
    codec = CODECS[int(rng.choice(len(CODECS), p=_CODEC_SHARES))]
    return codec, int(rng.choice(codec.bit_rates)) if codec.bit_rates else 0


def _loudspeaker(frequency: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Response in dB: no bass below a few hundred hertz, and some resonances."""
    lowest = rng.uniform(120, 600)
    level = -rng.uniform(6, 18) * np.log2(np.maximum(lowest / np.maximum(frequency, 30), 1))
    for _ in range(int(rng.integers(2, 6))):
        centre, width = rng.uniform(400, 6000), rng.uniform(0.1, 0.5)
        distance = np.log2(np.maximum(frequency, 30) / centre) / width
        level += rng.uniform(-8, 8) * np.exp(-(distance**2))
    return level


def transmit(signals: Signals, channel: ChannelDraw) -> Signals:
    """Send recordings through one channel; shape, and level to about 1 dB, are kept.

    Each recording is put at the drawn level first, so gain is no property of a recording.
    """
    rng = np.random.default_rng(channel.seed)
    samples = signals.shape[1]
    out: Signals = signals / _rms(signals)
    if channel.cubic or channel.clip < 1:
        peak = np.abs(out).max(1, keepdims=True) + 1e-9
        out = out + channel.cubic * (out / peak) ** 3 * peak
        out = np.clip(out, -channel.clip * peak, channel.clip * peak)
    if channel.impulses:
        hits = rng.random(samples) < channel.impulses
        strength = rng.random(samples, np.float32) - np.float32(0.5)
        out = out + hits * strength * out
    out = _linear(out, channel, rng)
    if channel.noise_removal:
        out = suppress_noise(out, *channel.noise_removal)
    if channel.gain_control:
        out = control_gain(out, *channel.gain_control)
    # From a mobile or voice-over-IP leg a call goes on through G.711, hardly the other way round.
    chain = [
        (codec, rate)
        for codec, rate in (
            (channel.codec, channel.bit_rate),
            (channel.onward, channel.onward_bit_rate),
        )
        if codec
    ]
    relayed = any(codec.rate == NARROW_RATE for codec, _ in chain)
    if channel.telephone and not relayed:
        out = _telephone(out, channel.telephone, channel.gain)
    for codec, rate in chain:
        out = np.stack([through_codec(one, codec, rate) for one in out])
    if channel.telephone and relayed:
        out = _telephone(out, channel.telephone, channel.gain)
    if channel.loss:
        out = lose_packets(out, channel.loss, channel.conceal, rng)
    level = np.float32(channel.gain * 0.1)
    return np.asarray(out / _rms(out) * level, np.float32)


def _rms(signals: Signals) -> Signals:
    level: Signals = np.sqrt(np.mean(signals**2, axis=1, keepdims=True)) + np.float32(1e-9)
    return level


def _linear(signals: Signals, channel: ChannelDraw, rng: Generator) -> Signals:
    """Room, noise and the linear part of microphone and line: one transform there and back."""
    samples = signals.shape[1]
    size = _fast_size(samples + SAMPLE_RATE // 2)
    spectrum = np.fft.rfft(signals, size).astype(np.complex64)
    if channel.reverberation:
        spectrum *= np.fft.rfft(_room(channel, rng), size).astype(np.complex64)
    if np.isfinite(channel.snr):
        # The same noise for the whole group, each at the drawn ratio to its recording.
        noise = rng.standard_normal((2, spectrum.shape[1]), np.float32)
        shape = np.arange(1, spectrum.shape[1] + 1, dtype=np.float32) ** (-channel.noise_slope / 2)
        coloured = (noise[0] + 1j * noise[1]) * shape
        ratio = np.linalg.norm(spectrum, axis=1, keepdims=True) / np.linalg.norm(coloured)
        # Noise fills the padded length, speech only `samples` of it.
        fill = np.sqrt(size / samples)
        spectrum = spectrum + coloured * ratio * fill * 10 ** (-channel.snr / 20)
    points = np.linspace(0, 1, EQ_POINTS)
    at = np.linspace(0, 1, spectrum.shape[1])
    spectrum *= np.interp(at, points, channel.response).astype(np.float32)
    return np.fft.irfft(spectrum, size)[:, :samples].astype(np.float32)


def _room(channel: ChannelDraw, rng: Generator) -> NDArray[np.float32]:
    """Impulse response: the direct sound, then noise that decays exponentially."""
    length = SAMPLE_RATE // 2
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    tail = rng.standard_normal(length).astype(np.float32)
    tail *= np.exp(-6.9 * time / channel.reverberation).astype(np.float32)
    tail[: int(rng.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0
    tail *= 10 ** (-channel.direct / 20) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1
    return tail


def _telephone(signals: Signals, law: str, gain: float) -> Signals:
    """Down to 8 kHz, 8 bits by the law of G.711, and back up."""
    samples = signals.shape[1]
    narrow = resample(signals, samples * NARROW_RATE // SAMPLE_RATE)
    peak = np.abs(narrow).max(1, keepdims=True) + 1e-9
    scale = peak / max(gain, 0.05)
    quantised = compand(narrow / scale, law) * scale
    return resample(quantised.astype(np.float32), samples)


def compand(signals: NDArray[np.floating], law: str) -> NDArray[np.floating]:
    """Quantise [-1, 1] to 8 bits on the mu-law or A-law curve and expand again (G.711)."""
    x = np.clip(signals, -1, 1)
    size = np.abs(x)
    if law == "mu":
        code = np.rint(np.log1p(_MU * size) / np.log1p(_MU) * 127) / 127
        out = np.expm1(code * np.log1p(_MU)) / _MU
    else:
        whole = 1 + np.log(_A)
        code = np.where(
            size < 1 / _A, _A * size / whole, (1 + np.log(np.maximum(_A * size, 1))) / whole
        )
        code = (np.floor(code * 127.999) + 0.5) / 128
        out = np.where(code < 1 / whole, code * whole / _A, np.exp(code * whole - 1) / _A)
    expanded: NDArray[np.floating] = np.sign(x) * out
    return expanded


def resample(signals: Signals, length: int) -> Signals:
    """Represent the signals by `length` samples: cuts or pads the spectrum of the whole."""
    samples = signals.shape[1]
    spectrum = np.fft.rfft(signals)[:, : length // 2 + 1]
    out: Signals = (np.fft.irfft(spectrum, length) * (length / samples)).astype(np.float32)
    return out


def _fast_size(samples: int) -> int:
    """The next length that is a power of two times 1 or 3: quick to transform."""
    size = 1
    while size < samples:
        size *= 2
    return size * 3 // 4 if size * 3 // 4 >= samples else size
