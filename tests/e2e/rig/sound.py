"""Sound as a float32 array at a rate: read, write, resample, level, join."""

import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
"""Mono samples in [-1, 1]."""

FRAME_SECONDS = 0.02
SPEECH_LEVEL = -26.0
"""dBFS of the speaking parts of every recording, of either class."""
FLOOR_LEVEL = -70.0
"""dBFS of the noise under every recording: a line is never digitally silent."""
_ACTIVE_BELOW_LOUDEST = 30.0
"""A frame within this many dB of the loudest one counts as speaking."""


def read_wav(path: Path) -> tuple[Sound, int]:
    """Samples and rate of a 16-bit mono WAV."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path} is not 16-bit mono")
        data = file.readframes(file.getnframes())
        rate = file.getframerate()
    return (np.frombuffer(data, "<i2") / 32768).astype(np.float32), rate


def write_wav(path: Path, sound: Sound, rate: int) -> None:
    """Write a 16-bit mono WAV, the kind that Chromium's fake microphone takes."""
    samples = np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def resampled(sound: Sound, rate: int, new_rate: int) -> Sound:
    """The same sound at another rate."""
    if rate == new_rate:
        return sound
    resampler = av.AudioResampler(format="flt", layout="mono", rate=new_rate)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound)[None], "flt", "mono")
    frame.sample_rate = rate
    pieces = [f.to_ndarray()[0] for f in (*resampler.resample(frame), *resampler.resample(None))]
    out: Sound = np.concatenate(pieces).astype(np.float32)
    return out[: round(len(sound) * new_rate / rate)]


def frame_levels(sound: Sound, rate: int) -> NDArray[np.float64]:
    """Level of each 20 ms frame in dBFS."""
    size = round(FRAME_SECONDS * rate)
    frames = sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)
    levels: NDArray[np.float64] = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    return levels


def speech_level(sound: Sound, rate: int) -> float:
    """Mean level in dBFS of the frames that hold speech: pauses do not count."""
    levels = frame_levels(sound, rate)
    active = levels[levels > levels.max() - _ACTIVE_BELOW_LOUDEST]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def trimmed(sound: Sound, rate: int, below_loudest: float = _ACTIVE_BELOW_LOUDEST) -> Sound:
    """The sound without the quiet at its two ends."""
    levels = frame_levels(sound, rate)
    loud = np.flatnonzero(levels > levels.max() - below_loudest)
    size = round(FRAME_SECONDS * rate)
    return sound[max(0, loud[0] - 2) * size : (loud[-1] + 3) * size]


def levelled(sound: Sound, rate: int, seed: int) -> Sound:
    """The sound at SPEECH_LEVEL, with FLOOR_LEVEL noise under it, peaks clipped."""
    gain = 10 ** ((SPEECH_LEVEL - speech_level(sound, rate)) / 20)
    floor = np.random.default_rng(seed).normal(0, 10 ** (FLOOR_LEVEL / 20), len(sound))
    return np.clip(sound * gain + floor, -0.99, 0.99).astype(np.float32)


def faded(sound: Sound, rate: int) -> Sound:
    """The sound with its last 50 ms sinking to zero: Chromium holds a file's last sample."""
    out = sound.copy()
    out[-rate // 20 :] *= np.linspace(1, 0, len(out[-rate // 20 :]), dtype=np.float32)
    return out


def joined(
    pieces: Sequence[Sound], rate: int, seed: int, pause: tuple[float, float] = (0.2, 0.45)
) -> Sound:
    """The pieces one after the other with a speaker's short pauses, in seconds."""
    rng = np.random.default_rng(seed)
    out: list[Sound] = []
    for piece in pieces:
        out.append(trimmed(piece, rate))
        out.append(np.zeros(int(rng.uniform(*pause) * rate), np.float32))
    return np.concatenate(out)
