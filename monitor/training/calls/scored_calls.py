"""Held-out recordings strung together into calls and sent through the service's own stages.

Calls, not windows, are what a threshold is set on: all of one speaker's recordings (or of one
generator speaking as one speaker) through one channel are one call.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from monitor.analysis.speech import SpeechGate, SpeechMeter
from monitor.analysis.windows import AudioWindower
from monitor.decision.looks import Looks
from monitor.decision.reference import ScoredWindow
from monitor.detectors.voice import VoiceDetector
from monitor.inference.catalogue import Model, sha256
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.channels.codecs import codec_named
from monitor.training.channels.lines import through_g711, through_mobile
from monitor.training.data.clips import Clip, Split, fraction
from monitor.types import (
    SAMPLE_RATE,
    AbstentionReason,
    AudioFrame,
    Waveform,
)

PAUSE_SECONDS = 0.4
"""Between recordings, as between sentences."""
LONGEST_SECONDS = 300.0
_LEVEL = 0.05
"""Root-mean-square level that every recording is brought to."""
CHANNELS = {"clean": 0.35, "g711": 0.3, "mobile": 0.15, "noisy": 0.2}
"""Shares of the speakers that call through each channel."""


@dataclass(frozen=True, slots=True)
class ScoredCall:
    """One call's scored windows, in order of time."""

    source: str
    speaker: str
    generator: str
    family: str
    fake: bool
    split: str
    channel: str
    seconds: float
    """Length of the call."""
    windows: tuple[ScoredWindow, ...]

    @property
    def name(self) -> str:
        """Names the call; all calls of one human speaker of a source share it."""
        return f"{self.source}/{self.speaker}/{self.generator if self.fake else ''}"

    @property
    def scored_seconds(self) -> float:
        """Seconds that have a score."""
        return sum(w.fresh_seconds for w in self.windows)


def voice_model(path: Path) -> Model:
    """The file as the service would load it, with the `second.onnx` beside it if there is one."""
    second = path.with_name("second.onnx")
    both = (second, sha256(second)) if second.exists() else (None, None)
    return Model("voice", path, sha256(path), "", path, None, None, *both)


def channel_of(source: str, speaker: str) -> str:
    """Through which channel a speaker calls: by a hash of the name, the same for both labels."""
    drawn = fraction(f"channel/{source}/{speaker}")
    for name, share in CHANNELS.items():
        drawn -= share
        if drawn < 0:
            return name
    return "clean"


def through_channel(audio: Waveform, channel: str, seed: int) -> Waveform:
    """Send a call's audio through its channel."""
    if channel == "noisy":
        rng = np.random.default_rng(seed)
        speech = float(np.sqrt(np.mean(np.square(audio)))) or 1e-3
        # Between 3 and 15 dB below the speech, tilted like room and line noise.
        noise = np.cumsum(rng.standard_normal(len(audio))).astype(np.float32)
        noise -= np.convolve(noise, np.full(257, 1 / 257, np.float32), "same").astype(np.float32)
        noise += (rng.standard_normal(len(audio)) * float(noise.std()) / 4).astype(np.float32)
        gain = speech / float(noise.std()) * 10 ** (-rng.uniform(3, 15) / 20)
        audio = np.clip(audio + gain * noise, -1, 1).astype(np.float32)
    if channel == "mobile":
        rates = codec_named("amr").bit_rates
        return through_mobile(audio, int(np.random.default_rng(seed).choice(rates)))
    return through_g711(audio) if channel == "g711" else audio


def scored_calls(
    clips: Sequence[Clip], model: Path, splits: Sequence[Split], processes: int = 2
) -> list[ScoredCall]:
    """Score every call that can be made of the clips in these splits."""
    groups: dict[tuple[str, str, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.split in splits:
            groups[clip.source, clip.speaker, clip.generator].append(clip)
    jobs = [(model, sorted(group, key=lambda c: c.path)) for group in groups.values()]
    with Pool(processes) as pool:
        found = list(pool.imap(_score, jobs, chunksize=4))
    return [call for call in found if call.windows]


def _score(job: tuple[Path, list[Clip]]) -> ScoredCall:
    model, clips = job
    first = clips[0]
    channel = channel_of(first.source, first.speaker)
    audio = joined(decode_audio(clip.file) for clip in clips)
    audio = through_channel(audio, channel, int(fraction(first.path) * 2**31))
    return ScoredCall(
        source=first.source,
        speaker=first.speaker,
        generator=first.generator,
        family=first.family,
        fake=first.fake,
        split=first.split,
        channel=channel,
        seconds=len(audio) / SAMPLE_RATE,
        windows=score_audio(audio, model),
    )


_loaded: dict[Path, tuple[VoiceDetector, SpeechGate]] = {}


def score_audio(audio: Waveform, model: Path) -> tuple[ScoredWindow, ...]:
    """Score one call's audio with the service's own windows, speech gate and detector."""
    if model not in _loaded:
        _loaded[model] = (VoiceDetector(voice_model(model)), SpeechGate())
    detector, gate = _loaded[model]
    windower, meter, looks = AudioWindower("remote"), SpeechMeter(gate), Looks(detector.second)
    frame = AudioFrame("remote", 0.0, audio)
    found = []
    for window in [*windower.push(frame), *windower.flush()]:
        measured = meter.measure(window)
        first = detector.judge([measured])[0]
        if looks.due(measured, first):
            looks.look(measured)
        result, quality = looks.fused(measured, first)
        if not isinstance(first, AbstentionReason) and not isinstance(result, AbstentionReason):
            fresh = measured.fresh.duration
            found.append(ScoredWindow(measured.span, result, quality, fresh, first))
    return tuple(found)


def joined(recordings: Iterable[Waveform], longest: float = LONGEST_SECONDS) -> Waveform:
    """One call's audio: level recordings with pauses between, at most `longest` seconds."""
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    parts: list[Waveform] = []
    left = round(longest * SAMPLE_RATE)
    for samples in recordings:
        level = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
        if level == 0.0:
            continue
        part = np.clip(samples * (_LEVEL / level), -1, 1)[:left]
        parts += [part, pause]
        left -= len(part) + len(pause)
        if left <= 0:
            break
    return np.concatenate(parts).astype(np.float32) if parts else pause
