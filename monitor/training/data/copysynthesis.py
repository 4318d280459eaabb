"""Human recording → the same words and voice, resynthesised: a fake that differs in nothing else.

Vocoders are the last stage of nearly every speech synthesiser; paired copy-synthesis is the
cheapest way to show a detector their traces (arXiv 2210.10570). Every method keeps length and
alignment. Parameters are drawn per recording: an artefact is a family, not a constant.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from monitor.types import SAMPLE_RATE, Waveform

Method = Callable[[Waveform, Generator], Waveform]
"""(human speech, source of parameters) → resynthesis of the same length."""


def griffin_lim(samples: Waveform, rng: Generator) -> Waveform:
    """Mel spectrogram and back, phase by fast Griffin-Lim (Perraudin et al., WASPAA 2013)."""
    size = int(rng.choice([512, 800, 1024]))
    hop = size // int(rng.choice([4, 4, 5]))
    bands = int(rng.choice([40, 60, 80, 80, 100, 128]))
    spectrum = _stft(samples, size, hop)
    matrix = mel_matrix(size, bands, SAMPLE_RATE, 0, SAMPLE_RATE / 2)
    back = np.linalg.pinv(matrix)
    magnitude = np.maximum(back @ (matrix @ np.abs(spectrum)), 1e-7)
    phase = np.exp(2j * np.pi * rng.random(spectrum.shape))
    momentum, before = 0.99 if rng.random() < 0.7 else 0.0, np.zeros_like(spectrum)
    for _ in range(int(rng.integers(6, 33))):
        again = _stft(_istft(magnitude * phase, size, hop, len(samples)), size, hop)
        estimate = again - momentum / (1 + momentum) * before
        before = again
        phase = estimate / (np.abs(estimate) + 1e-9)
    return _istft(magnitude * phase, size, hop, len(samples))


def phase_noise(samples: Waveform, rng: Generator) -> Waveform:
    """Magnitudes kept, phase disturbed above a cut-off: what a poor phase model leaves."""
    size = int(rng.choice([512, 1024]))
    hop = size // 4
    spectrum = _stft(samples, size, hop)
    bins = spectrum.shape[0]
    cut = rng.uniform(0.05, 0.5) * bins
    strength = rng.uniform(0.4, 1.0) * np.clip((np.arange(bins) - cut) / (0.1 * bins), 0, 1)
    turn = np.exp(1j * np.pi * strength[:, None] * rng.uniform(-1, 1, spectrum.shape))
    blurred = np.abs(spectrum)
    if rng.random() < 0.5:
        blurred = signal.convolve(blurred, np.ones((3, 3)) / 9, mode="same")
    out = blurred * np.exp(1j * np.angle(spectrum)) * turn
    return _istft(out, size, hop, len(samples))


def linear_prediction(samples: Waveform, rng: Generator) -> Waveform:
    """LPC vocoder: all-pole envelope, excitation rebuilt from the residual's spectrum magnitude.

    The residual keeps its level per frame; its fine structure is replaced by pulses where it is
    periodic and by noise elsewhere.
    """
    frame = int(SAMPLE_RATE * rng.uniform(0.02, 0.03))
    hop = frame // 2
    order = int(rng.integers(12, 25))
    mix = rng.uniform(0.0, 0.35)
    window = np.hanning(frame)
    padded = np.pad(samples, (frame, frame))
    out = np.zeros_like(padded)
    weight = np.full_like(padded, 1e-3)
    clock = 0.0
    for first in range(0, len(padded) - frame, hop):
        piece = padded[first : first + frame] * window
        correlation = np.correlate(piece, piece, "full")[frame - 1 :]
        if correlation[0] < 1e-7:
            continue
        regular = correlation[: order + 1].copy()
        regular[0] *= 1.0001
        from_toeplitz = _levinson(regular)
        residual = signal.lfilter(from_toeplitz, [1], piece)
        level = np.sqrt(np.mean(residual**2) + 1e-12)
        low, high = SAMPLE_RATE // 400, min(SAMPLE_RATE // 60, frame - 1)
        lag = low + int(np.argmax(correlation[low:high]))
        voiced = correlation[lag] / correlation[0]
        excitation = rng.standard_normal(frame)
        if voiced > 0.35:
            pulses = np.zeros(frame)
            at = max(clock - first, 0.0)
            while at < frame:
                pulses[int(at)] = np.sqrt(lag)
                at += lag
            clock = first + at
            excitation = pulses + mix * excitation
        else:
            clock = first + frame
        excitation *= level / np.sqrt(np.mean(excitation**2) + 1e-12)
        made = signal.lfilter([1], from_toeplitz, excitation)
        out[first : first + frame] += made * window
        weight[first : first + frame] += window
    made = (out / np.maximum(weight, 0.1))[frame : frame + len(samples)]
    return np.asarray(made, np.float32)


def world(samples: Waveform, rng: Generator) -> Waveform:
    """WORLD analysis and synthesis (Morise et al., 2016), plain or through a coarse code."""
    import pyworld  # type: ignore[import-not-found, unused-ignore]  # only this method needs it

    x = samples.astype(np.float64)
    pitch, time = pyworld.dio(x, SAMPLE_RATE)
    pitch = pyworld.stonemask(x, pitch, time, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(x, pitch, time, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(x, pitch, time, SAMPLE_RATE)
    size = 2 * (envelope.shape[1] - 1)
    if rng.random() < 0.6:
        order = int(rng.integers(24, 61))
        code = pyworld.code_spectral_envelope(envelope, SAMPLE_RATE, order)
        if rng.random() < 0.6:
            width = np.ones((int(rng.integers(2, 6)), 1))
            code = signal.convolve(code, width, "same")
            code /= signal.convolve(np.ones_like(code), width, "same")
        envelope = pyworld.decode_spectral_envelope(np.ascontiguousarray(code), SAMPLE_RATE, size)
        coded = pyworld.code_aperiodicity(aperiodicity, SAMPLE_RATE)
        aperiodicity = pyworld.decode_aperiodicity(coded, SAMPLE_RATE, size)
    if rng.random() < 0.5:
        smooth = signal.medfilt(pitch, 5)
        pitch = np.where((pitch > 0) & (smooth > 0), smooth, pitch)
    made = pyworld.synthesize(pitch, envelope, aperiodicity, SAMPLE_RATE)
    return _fit(made, len(samples))


METHODS: Mapping[str, Method] = {
    "griffin-lim": griffin_lim,
    "phase-noise": phase_noise,
    "lpc": linear_prediction,
    "world": world,
}


def mel_matrix(size: int, bands: int, rate: int, low: float, high: float) -> NDArray[np.float64]:
    """Triangular filters equally wide on the Slaney mel scale, area-normalised (bands, bins)."""
    edges = _mel_to_hertz(np.linspace(_hertz_to_mel(low), _hertz_to_mel(high), bands + 2))
    at = np.linspace(0, rate / 2, size // 2 + 1)
    rising = (at[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at[None]) / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    matrix: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * area[:, None]
    return matrix


def _hertz_to_mel(hertz: float) -> float:
    return (
        hertz / (200 / 3) if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))
    )


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    low = mel * (200 / 3)
    return np.where(mel < 15, low, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def _stft(samples: Waveform, size: int, hop: int) -> NDArray[Any]:
    padded = np.pad(samples, (size, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * np.hanning(size + 1)[:-1], axis=1).T


def _istft(spectrum: NDArray[Any], size: int, hop: int, length: int) -> Waveform:
    frames = np.fft.irfft(spectrum.T, size, axis=1)
    window = np.hanning(size + 1)[:-1]
    total = (len(frames) - 1) * hop + size
    out, weight = np.zeros(total), np.full(total, 1e-9)
    for i, frame in enumerate(frames * window):
        out[i * hop : i * hop + size] += frame
        weight[i * hop : i * hop + size] += window**2
    return np.asarray((out / weight)[size : size + length], np.float32)


def _levinson(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prediction-error filter (1, a1, a2, ...) of an autocorrelation."""
    filter_, error = np.ones(1), correlation[0]
    for i in range(1, len(correlation)):
        reflection = -(filter_ @ correlation[i:0:-1]) / error
        filter_ = np.append(filter_, 0.0)
        filter_ = filter_ + reflection * filter_[::-1]
        error *= 1 - reflection**2
    return filter_


def _fit(samples: NDArray[np.floating], length: int) -> Waveform:
    out = np.zeros(length, np.float32)
    size = min(length, len(samples))
    out[:size] = samples[:size]
    return out
