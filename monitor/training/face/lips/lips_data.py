"""Talking clips of albums → what a cue window holds of them: landmarks, mouths and sound."""

import argparse
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from monitor.analysis.landmarker import mouth
from monitor.analysis.sound import mel_bands
from monitor.detectors.mouth import openings
from monitor.ingest.codecs.convert import AudioConverter
from monitor.training.channels.channel import draw_channel, transmit
from monitor.training.data.store import from_pcm, to_pcm
from monitor.training.face.pictures.album import FaceFile, pictures, read_album
from monitor.types import EYE_SHAPE, SAMPLE_RATE, SOUND_BANDS, SOUND_HZ, CueWindow, Span, Waveform
from monitor.types.sampling import Pace

_log = logging.getLogger(__name__)
FOLDER = Path("build/lips")
_FPS = 30.0
_CHANNELS = 3
"""Ways from mouth to monitor drawn for each clip, besides none."""
_SILENT = 1e-3
"""Root-mean-square level of a track in which nobody speaks."""


@dataclass(frozen=True, slots=True)
class LipClip:
    """One clip whose face the teacher found; times count from the file's own zero."""

    name: str
    group: str
    """One person where that is known."""
    source: str
    split: str
    fake: bool
    family: str
    times: NDArray[np.float64]
    """Seconds of each picture, shape (pictures,)."""
    points: NDArray[np.float32]
    """Shape (pictures, POINTS, 2), pixels."""
    pose: NDArray[np.float32]
    """Degrees, shape (pictures, 3)."""
    mouths: NDArray[np.uint8]
    """Luma, shape (pictures, *MOUTH_SHAPE)."""
    pcm: NDArray[np.int16]
    """16 kHz."""
    begin: float
    """Seconds at which the sound begins; it need not be when the pictures do."""

    @property
    def waveform(self) -> Waveform:
        """Samples in [-1, 1]."""
        return from_pcm(self.pcm)

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        np.savez(path, **kept)

    @classmethod
    def load(cls, path: Path) -> "LipClip":
        """Read what `save` wrote; raises OSError or KeyError."""
        with np.load(path) as file:
            found = {f.name: file[f.name] for f in fields(cls)}
        return cls(**{k: v.item() if v.ndim == 0 else v for k, v in found.items()})

    def rows(self, fps: float = _FPS) -> NDArray[np.intp]:
        """Which pictures the service would look at, at `fps` a second."""
        pace = Pace(lambda _: fps)
        return np.array([i for i, time in enumerate(self.times) if pace.due(time)], np.intp)

    def window(
        self,
        span: Span,
        fps: float = _FPS,
        waveform: Waveform | None = None,
        points: NDArray[np.float32] | None = None,
    ) -> CueWindow:
        """The cue window of `span`, in the clip's seconds, perhaps with other sound or landmarks.

        A `waveform` begins where the clip's own does.
        """
        rows = self.rows(fps)
        rows = rows[(self.times[rows] >= span.start) & (self.times[rows] < span.end)]
        heard = mel_bands(self.waveform if waveform is None else waveform)
        sound = np.full((round(span.duration * SOUND_HZ), SOUND_BANDS), np.nan, np.float32)
        first = round((self.begin - span.start) * SOUND_HZ)
        part = heard[max(0, -first) :][: len(sound) - max(0, first)]
        sound[max(0, first) : max(0, first) + len(part)] = part
        nothing = np.zeros(0)
        return CueWindow(
            participant=self.name,
            span=span,
            fresh=span,
            times=self.times[rows],
            points=(self.points if points is None else points)[rows],
            pose=self.pose[rows],
            mouths=self.mouths[rows],
            eyes=np.zeros((len(rows), 2, *EYE_SHAPE), np.uint8),
            skin=np.zeros((len(rows), 3, 3), np.float32),
            crop_times=nothing,
            crops=np.zeros((0, 3, 224, 224), np.uint8),
            crop_points=np.zeros((0, self.points.shape[1], 2), np.float32),
            crop_scale=nothing.astype(np.float32),
            sound=sound,
        )


class Ready:
    """A clip with everything that is the same in each example made of it."""

    def __init__(self, clip: LipClip, seed: int = 0) -> None:
        self.clip = clip
        self.begin = max(float(clip.times[0]), clip.begin)
        seconds = len(clip.pcm) / 16_000
        self.seconds = min(float(clip.times[-1]), clip.begin + seconds) - self.begin
        self.openings = openings(clip.points)
        waveform, rng = clip.waveform, np.random.default_rng(seed)
        lines = [transmit(waveform[None], draw_channel(rng))[0] for _ in range(_CHANNELS)]
        self.sounds = [mel_bands(heard) for heard in (waveform, *lines)]


def load_clips(folder: Path = FOLDER / "clips") -> list[LipClip]:
    """Every clip of a folder, by name; raises OSError or KeyError."""
    return [LipClip.load(path) for path in sorted(folder.glob("*.npz"))]


def heard(path: Path) -> tuple[Waveform, float]:
    """A file's sound and the second at which it begins.

    Raises av.error.FFmpegError for a file that cannot be read, ValueError without audio.
    """
    converter, begin, parts = AudioConverter(), math.nan, []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError(f"{path}: no audio stream")
        for frame in container.decode(container.streams.audio[0]):
            if math.isnan(begin):
                begin = float(frame.time or 0.0)
            parts.append(converter.convert(frame))
    parts.append(converter.flush())
    return np.concatenate(parts), 0.0 if math.isnan(begin) else begin


def clips(files: Sequence[FaceFile], teacher: Path) -> Iterator[LipClip]:
    """The clips of an album that have sound and landmarks."""
    for file in files:
        labels = teacher / f"{file.path.stem}.npz"
        if not (file.audio and file.kind == "video" and labels.exists()):
            continue
        with np.load(labels) as found:
            # The teacher adds the pose of all files when it has seen the last one.
            known = {key: found[key] for key in ("times", "points", "pose")}
        samples, begin = heard(file.path)
        if len(samples) < SAMPLE_RATE or np.sqrt(np.mean(samples**2)) < _SILENT:
            _log.warning("silent: %s", file.path.name)
            continue
        mouths, kept = [], []
        for time, image in pictures(file.path, _FPS):
            row = int(np.abs(known["times"] - time).argmin())
            if abs(known["times"][row] - time) < 1e-3:
                mouths.append(mouth(image, known["points"][row]))
                kept.append(row)
        yield LipClip(
            name=file.path.stem,
            group=file.group,
            source=file.source,
            split=file.split,
            fake=file.fake,
            family=file.family,
            times=known["times"][kept],
            points=known["points"][kept],
            pose=known["pose"][kept],
            mouths=np.stack(mouths),
            pcm=to_pcm(samples),
            begin=begin,
        )


def prepare(data: Path, teacher: Path, out: Path) -> None:
    """Write one `<stem>.npz` for each talking clip of an album."""
    files = [f for f in read_album(data) if not (out / f"{f.path.stem}.npz").exists()]
    for clip in clips(files, teacher):
        clip.save(out / f"{clip.name}.npz")
        _log.info("%s: %d pictures, %.1f s", clip.name, len(clip.times), len(clip.pcm) / 16_000)


def add(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the stage to the command line."""
    parser = stages.add_parser("lips-data", help="talking clips of an album, with landmarks")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/faces"))
    parser.add_argument("--teacher", type=Path, default=Path("build/faces/teacher"))
    parser.add_argument("--out", type=Path, default=FOLDER / "clips")
    parser.set_defaults(run=lambda o: prepare(o.data, o.teacher, o.out))
