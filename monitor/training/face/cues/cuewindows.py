"""Clips → the windows that the service would give to its cues, with landmarks of its own or the
teacher's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import align, crop_map
from monitor.analysis.cascade import Cascade
from monitor.analysis.cue_windows import LENGTH, CueCrop, CueFrame, CueWindower
from monitor.analysis.faces import FaceTracker
from monitor.analysis.landmarker import (
    Landmarker,
    LandmarkTracker,
    crop_points,
    eyes,
    five_points,
    mouth,
    skin,
)
from monitor.analysis.sound import mel_bands
from monitor.ingest.codecs.convert import decode_audio
from monitor.training.face.pictures.album import FaceFile, pictures
from monitor.types import CueWindow, Image, VideoFrame
from monitor.types.sampling import Pace, Sampling

FPS = Sampling().burst_fps
CROPS_HZ = 1.0
"""Crops a second, as in the service."""
_AROUND = 0.75
"""Picture kept around the landmarks on every side, as a share of their height."""
_PRESET = {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One picture of a clip, cut to the surroundings of the face."""

    time: float
    """Seconds into the clip."""
    image: Image
    points: NDArray[np.float32]
    """Landmarks in pixels of `image`, shape (POINTS, 2)."""
    pose: NDArray[np.float32]
    """Yaw, pitch and roll, degrees, shape (3,)."""


def sightings(path: Path, labels: Path, fps: float = FPS) -> list[Sighting]:
    """The pictures of at most a minute in which the teacher found a face, `fps` a second.

    Raises FileNotFoundError for a clip without labels.
    """
    with np.load(labels / f"{path.stem}.npz") as found:
        times, points, pose = found["times"], found["points"], found["pose"]
    due, seen = Pace(lambda _: fps), []
    for time, image in pictures(path, 30.0):
        row = int(np.abs(times - time).argmin())
        if time >= LENGTH:
            break
        if abs(times[row] - time) < 1e-3 and due.due(time):
            seen.append(cut_out(Sighting(time, image, points[row], pose[row])))
    return seen


def service_window(
    path: Path,
    cascade: Cascade,
    landmarker: Landmarker,
    sound: NDArray[np.float32] | None = None,
) -> CueWindow | None:
    """What the service itself would show its cues of a clip: one burst of at most a minute.

    Of the face that is followed longest; None where there is none. `sound` as in a CueWindow.
    """
    faces, marks = FaceTracker(cascade), LandmarkTracker(landmarker)
    looking, cropping = Pace(lambda _: Sampling().fps), Pace(lambda _: CROPS_HZ)
    runs: list[list[CueFrame]] = [[]]
    for time, image in pictures(path, FPS):
        if time >= LENGTH:
            break
        face = None
        if looking.due(time):
            frame = faces.look(VideoFrame("", time, image))
            face = frame.face
            if frame.found or frame.lost:
                marks.restart()
                runs.append([])
        seen = marks.look(image, face.landmarks if face is not None else None)
        if seen is None:
            continue
        crop = None
        if face is not None and face.crop is not None and cropping.due(time):
            back = crop_map(face.landmarks)
            scale = float(np.hypot(back[0, 0], back[1, 0]))
            crop = CueCrop(face.crop, crop_points(seen.points, back), scale)
        shown, colours = mouth(image, seen.points), skin(image, seen.points)
        lids = eyes(image, seen.points)
        runs[-1].append(CueFrame(time, seen.points, seen.pose, shown, lids, colours, crop))
    longest = max(runs, key=len)
    return _whole(longest, sound) if longest else None


def _whole(frames: Sequence[CueFrame], sound: NDArray[np.float32] | None) -> CueWindow:
    windower = CueWindower("clip", hop=LENGTH)
    list(windower.until(0.0))
    for frame in frames:
        windower.push(frame)
    if sound is not None:
        windower.hear(0.0, sound)
    (whole,) = windower.flush(min(frames[-1].time + 1 / FPS, LENGTH))
    return whole


def cut_out(whole: Sighting) -> Sighting:
    """The same with a picture of the face's surroundings alone."""
    low, high = whole.points.min(axis=0), whole.points.max(axis=0)
    room = _AROUND * float(high[1] - low[1])
    size = np.array([whole.image.shape[1], whole.image.shape[0]])
    left, top = np.clip(np.floor(low - room), 0, size - 2).astype(int)
    right, bottom = np.clip(np.ceil(high + room), [left + 2, top + 2], size).astype(int)
    image = np.ascontiguousarray(whole.image[top:bottom, left:right])
    return replace(whole, image=image, points=whole.points - np.array([left, top], np.float32))


def window(seen: Iterable[Sighting], sound: NDArray[np.float32] | None = None) -> CueWindow:
    """What the service would show its cues of these pictures: one window, at most a minute.

    `sound` as in a CueWindow. Raises ValueError without pictures.
    """
    cropping, frames = Pace(lambda _: CROPS_HZ), []
    for one in seen:
        crop = None
        if cropping.due(one.time):
            five = five_points(one.points)
            back = crop_map(five)
            scale = float(np.hypot(back[0, 0], back[1, 0]))
            crop = CueCrop(align(one.image, five), crop_points(one.points, back), scale)
        shown, colours = mouth(one.image, one.points), skin(one.image, one.points)
        lids = eyes(one.image, one.points)
        frames.append(CueFrame(one.time, one.points, one.pose, shown, lids, colours, crop))
    if not frames:
        raise ValueError("no pictures")
    return _whole(frames, sound)


def clip_window(file: FaceFile, labels: Path) -> CueWindow | None:
    """A clip as one window; None where the teacher found no face."""
    if not (labels / f"{file.path.stem}.npz").exists():
        return None
    seen = sightings(file.path, labels)
    if not seen:
        return None
    return window(seen, mel_bands(decode_audio(file.path)) if file.audio else None)


def transcode(source: Path, target: Path, lines: int, bit_rate: int) -> None:
    """Encode a clip's pictures as a live call would: H.264, at most `lines` high, never enlarged.

    Raises av.error.FFmpegError for a file that cannot be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"partial-{target.name}")
    with av.open(str(source)) as reader, av.open(str(partial), "w", format="mp4") as writer:
        shown = reader.streams.video[0]
        shown.thread_type = "NONE"
        share = min(1.0, lines / shown.height)
        stream = writer.add_stream("libx264", rate=shown.average_rate or 30, options=_PRESET)
        size = (2 * round(n * share / 2) for n in (shown.width, shown.height))
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", bit_rate
        stream.codec_context.time_base = Fraction(1, 90_000)
        stream.thread_count = 1
        for frame in reader.decode(shown):
            pts = round(float(frame.time or 0.0) * 90_000)
            sized = frame.reformat(stream.width, stream.height, "yuv420p")
            sized.pts, sized.time_base = pts, Fraction(1, 90_000)
            writer.mux(stream.encode(sized))
        writer.mux(stream.encode(None))
    partial.rename(target)


def still_window(file: FaceFile, labels: Path, seconds: int = 5) -> CueWindow | None:
    """A photograph held before a camera: a picture a second with its sensor's noise.

    None where the teacher found no face.
    """
    if not (labels / f"{file.path.stem}.npz").exists():
        return None
    rng = np.random.default_rng(0)
    held = []
    for one in sightings(file.path, labels):
        for second in range(seconds):
            noisy = one.image + rng.normal(0, 2, one.image.shape)
            image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            held.append(replace(one, time=float(second), image=image))
    return window(held) if held else None


def renditions(
    files: Sequence[FaceFile], folder: Path, lines: int, bit_rate: int
) -> list[FaceFile]:
    """The same clips through `transcode`, made where they are missing; without sound."""
    made = []
    for file in files:
        target = folder / f"{file.path.stem}.mp4"
        if not target.exists():
            transcode(file.path, target, lines, bit_rate)
        made.append(replace(file, path=target, audio=False))
    return made
