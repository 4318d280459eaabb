"""The lines through which figures are measured: the same for every recording, every time."""

import numpy as np

from monitor.training.channels.channel import NARROW_RATE, compand, resample
from monitor.training.channels.codecs import codec_named, through_codec
from monitor.training.channels.packets import REPEAT, lose_packets
from monitor.types import SAMPLE_RATE, Waveform


def through_g711(samples: Waveform) -> Waveform:
    """8 kHz, mu-law at -20 dB below full scale, back to 16 kHz; length and level kept.

    The level matters: mu-law adds more noise to quiet signals, and recordings come at all
    levels. Telephone networks deliver speech near that level.
    """
    level = float(np.sqrt(np.mean(np.square(samples)))) + 1e-9
    loud = samples * np.float32(0.1 / level)
    narrow = resample(loud[None], len(samples) * NARROW_RATE // SAMPLE_RATE)
    coded = compand(narrow, "mu").astype(np.float32)
    back: Waveform = resample(coded, len(samples))[0] * np.float32(level / 0.1)
    return back


def through_mobile(samples: Waveform, bit_rate: int = 7_400) -> Waveform:
    """AMR, by default as of a mobile telephone at the edge of its cell; length and level kept."""
    return through_codec(samples, codec_named("amr"), bit_rate)


def through_poor_network(samples: Waveform) -> Waveform:
    """Opus at 12 kb/s of which 5 % of the packets are lost and concealed; the same every time."""
    coded = through_codec(samples, codec_named("opus-low"), 12_000)[None]
    heard: Waveform = lose_packets(coded, 0.05, REPEAT, np.random.default_rng(len(samples)))[0]
    return heard
