"""The shipped file over the held-out recordings: one row per window and channel.

This is the material for calibration and for call-level thresholds as well as for the report.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.quality import bandwidth_hz
from monitor.analysis.speech import SpeechGate
from monitor.decision.looks import Looks
from monitor.detectors.second import VoiceSecondLook
from monitor.inference.onnx import Session
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.calls.scored_calls import voice_model
from monitor.training.channels.codecs import codec_named, through_codec
from monitor.training.channels.lines import through_g711, through_mobile, through_poor_network
from monitor.training.data.clips import Clip, Split
from monitor.training.data.gate import find_speech
from monitor.training.data.windows import HOP_SECONDS, WINDOW_SECONDS, scoring_windows
from monitor.types import SAMPLE_RATE, AbstentionReason, AudioWindow, Span, Waveform

CLEAN = "clean"
G711 = "g711"
OPUS = "opus"
MOBILE = "mobile"
CHANNELS = (CLEAN, G711, OPUS, MOBILE)
COLUMNS = (
    "clip",
    "source",
    "speaker",
    "fake",
    "generator",
    "family",
    "split",
    "channel",
    "start",
    "speech",
    "logit",
)
Table = dict[str, NDArray[np.generic]]
"""COLUMNS → values, all of one length: a row is a window."""
_LINES = {G711: through_g711, OPUS: through_poor_network, MOBILE: through_mobile}
HELD_OUT = (Split.TEST, Split.DEV, Split.HUMAN)


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One scored window; the fields are COLUMNS."""

    clip: str
    source: str
    speaker: str
    fake: bool
    generator: str
    family: str
    split: str
    channel: str
    start: float
    """Seconds from the beginning of the file."""
    speech: float
    """Seconds of speech in the window."""
    logit: float


class WindowScorer:
    """A model as the service uses it, for windows that belong to no call."""

    def __init__(self, model: Path) -> None:
        """With a `second.onnx` beside the file, windows are looked at as often as it says."""
        files = voice_model(model)
        self._first = Session(model)
        self._second = VoiceSecondLook(files.second, files.sha256) if files.second else None

    def logit(self, samples: Waveform, speech: float) -> float:
        """The logit of a window with so many seconds of speech; (samples,)."""
        first = float(self._first.run({"waveform": samples[None]})[0][0])
        if self._second is None:
            return first
        span = Span(0.0, len(samples) / SAMPLE_RATE)
        quality = {"bandwidth_hz": bandwidth_hz(samples)}
        window = AudioWindow("", span, span, samples, speech, 0.0, quality=quality)
        looks = Looks(self._second)
        if looks.due(window, first):
            looks.look(window)
        fused, _ = looks.fused(window, first)
        assert not isinstance(fused, AbstentionReason)
        return fused


_state: dict[str, tuple[WindowScorer, SpeechGate]] = {}


def _score(job: tuple[Clip, Path, float, Sequence[str]]) -> list[WindowRow]:
    clip, model, seconds, channels = job
    if str(model) not in _state:
        _state[str(model)] = (WindowScorer(model), SpeechGate())
    scorer, gate = _state[str(model)]
    speech = find_speech(decode_audio(clip.file), gate)
    if speech is None:
        return []
    rows = []
    for channel in channels:
        samples = through(speech.samples, channel)
        # Windows of less than a second of speech are asked for only when lengths are compared.
        windows = scoring_windows(
            samples, speech.active, seconds, HOP_SECONDS, min_speech=min(1.0, 0.75 * seconds)
        )
        for window in windows:
            rows.append(
                WindowRow(
                    clip=clip.path,
                    source=clip.source,
                    speaker=clip.speaker,
                    fake=clip.fake,
                    generator=clip.generator,
                    family=clip.family,
                    split=clip.split.value,
                    channel=channel,
                    start=speech.start / SAMPLE_RATE + window.start,
                    speech=window.speech,
                    logit=scorer.logit(window.samples, window.speech),
                )
            )
    return rows


def through(samples: Waveform, channel: str) -> Waveform:
    """A recording as one of CHANNELS delivers it, or codecs: "name" or "name bit-rate", with a
    plus between two that a call passes one after the other."""
    if channel == CLEAN:
        return samples
    if channel in _LINES:
        return _LINES[channel](samples)
    for leg in channel.split("+"):
        name, _, bit_rate = leg.partition(" ")
        samples = through_codec(samples, codec_named(name), int(bit_rate or 0))
    return samples


def score_clips(
    clips: Sequence[Clip],
    model: Path,
    splits: Sequence[Split] = HELD_OUT,
    seconds: float = WINDOW_SECONDS,
    processes: int = 2,
    channels: Sequence[str] = CHANNELS,
) -> Table:
    """Score every window of every clip of the given splits with a file of ours, and with the
    second look that lies beside it, if there is one."""
    jobs = [(clip, model, seconds, channels) for clip in clips if clip.split in splits]
    with Pool(processes) as pool:
        rows = [row for found in pool.imap(_score, jobs, chunksize=16) for row in found]
    return {name: np.array([getattr(row, name) for row in rows]) for name in COLUMNS}


def save_table(table: Table, path: Path) -> None:
    """Write a table as a compressed .npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{name: table[name] for name in COLUMNS})  # type: ignore[arg-type]


def load_table(path: Path) -> Table:
    """Read a table back."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in COLUMNS}


def clips_of(table: Table, mask: NDArray[np.bool_]) -> Iterator[tuple[dict[str, str], float]]:
    """(columns of the first window, mean logit) of each clip among the masked rows."""
    where = np.flatnonzero(mask)
    names, first, group = np.unique(table["clip"][where], return_index=True, return_inverse=True)
    sums = np.bincount(group, table["logit"][where].astype(float), len(names))
    means = sums / np.bincount(group, minlength=len(names))
    for i, row in enumerate(where[first]):
        yield {name: str(table[name][row]) for name in COLUMNS}, float(means[i])
