"""Pictures of one participant → the face that is followed, its upright crop and its quality.

A full pass of the cascade costs about five times what O-Net alone costs on a known box. So the
cascade runs about once a second of call time to confirm or correct, every other second while it
finds what O-Net follows and nobody else, O-Net on every picture in between, and the cascade again
at once when O-Net loses the face. Where no face has been for a
while (a camera that is off, an empty room) the cascade runs twice a second only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import CROP_SIDE, Points, align
from monitor.analysis.cascade import Boxes, Cascade, Face, overlap
from monitor.analysis.smoothing import SteadyPoints
from monitor.types import Image, Quality, VideoFrame

MIN_FACE_PX = 80.0
"""Narrower faces get no crop: enlarging them would show a detector pixels that nobody filmed."""
_SEARCH_EVERY, _SETTLED_EVERY = 1.0, 2.0
"""Seconds of call time between full passes while a face is followed, and while it is alone and the
last pass found it just there."""
_EMPTY_AFTER, _EMPTY_EVERY = 2.0, 0.5
"""Seconds without a face after which full passes become rarer, and how rare."""
_UNCONFIRMED = 3
"""Full passes in a row that may miss a face O-Net still sees: heads turn away and come back."""
_SAME_FACE = 0.3
"""Least overlap of two boxes, as a share of their union, that can show one moving face."""
_SAME_BOX = 0.6
"""Less overlap between the followed box and the found one means that following has drifted."""
_RIVAL = 2.0
"""A face this many times as prominent takes over from the followed one."""
_SMALLER = 0.35
"""Share of the followed face's width below which no other face is looked for: who sits that far
behind is not in the conversation, and the cascade's cost falls with the square of the width."""
_MOST_OTHERS = 3
"""Further faces that are judged, at most: a crowd is not a participant."""
_FAR = 0.12
"""O-Net looks again when it moved the box by more than this share of the width."""
_NOSE_DEPTH = 0.4
"""How far the tip of the nose stands out, as a share of the distance between the eyes."""
_LUMA_BITS = 8
_LUMA = np.array([77, 150, 29], np.uint16)[:, None, None]
"""Shares of red, green and blue in brightness, ITU-R BT.601, in 256ths."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """The followed face in one picture."""

    box: Boxes
    """Shape (4,): x0, y0, x1, y1 in pixels of the picture, smoothed over time."""
    landmarks: Points
    """Shape (5, 2), order of `Face.landmarks`, smoothed over time."""
    score: float
    """Probability of a face."""
    crop: NDArray[np.uint8] | None
    """Shape (3, 224, 224), RGB, upright; None when the face is narrower than `MIN_FACE_PX`, or
    nobody wanted it."""
    quality: Quality
    """face_px: width of the box in pixels of the picture; yaw_degrees: positive towards the
    picture's right, a rough measure; bits_per_pixel: as in the VideoFrame. Unless a crop was
    possible and not wanted, sharpness: variance of the Laplacian of the luma (0 to 255) of the face
    at 64 pixels width, and brightness: mean luma, 0 to 1."""


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """What the tracker saw in one picture."""

    participant: str
    time: float
    """Call seconds."""
    face: TrackedFace | None
    others: tuple[TrackedFace, ...]
    """Further faces, the most prominent first; only where a full pass of the cascade was made."""
    found: bool
    """This picture starts a track: a face appeared, or another one took over."""
    lost: bool
    """This picture ends a track: the face is gone, or another one took over."""


class FaceTracker:
    """Follows one face of one participant: the largest and most central one, until it leaves."""

    def __init__(self, cascade: Cascade) -> None:
        self._cascade = cascade
        self._face: Face | None = None
        self._searched = -math.inf
        self._every = _SEARCH_EVERY
        self._empty_since: float | None = None
        self._unconfirmed = 0
        self._steadied = SteadyPoints()
        self._size = np.zeros(2)

    def look(self, frame: VideoFrame, wanted: Callable[[], bool] = lambda: True) -> FaceFrame:
        """Find the face in the next picture; pictures come in order of time, at any rate.

        `wanted` is asked whether the followed face's crop is, where there can be one: making it
        costs as much as following the face. With further faces there is one in any case.
        """
        self._fit(frame.image)
        before = self._face
        if self._resting(frame.time):
            return FaceFrame(frame.participant, frame.time, None, (), found=False, lost=False)
        face = self._followed(frame.image)
        same = face is not None
        others: list[Face] = []
        if face is None or not 0 <= frame.time - self._searched < self._every:
            self._searched = frame.time
            faces, followed = self._detected(frame.image, face), face
            face, same = self._chosen(frame.image, face, faces)
            settled = len(faces) == 1 and face is followed and not self._unconfirmed
            self._every = _SETTLED_EVERY if settled else _SEARCH_EVERY
            others = self._apart(frame.image, face, faces)
        self._face = face
        tracked = None
        if face is None:
            if self._empty_since is None:
                self._empty_since = frame.time
        else:
            self._empty_since = None
            if not same:
                self._steadied = SteadyPoints()
                self._unconfirmed = 0
            cropped = face.width < MIN_FACE_PX or wanted() or bool(others)
            tracked = self._tracked(frame, face, cropped)
        return FaceFrame(
            participant=frame.participant,
            time=frame.time,
            face=tracked,
            others=tuple(_measured(frame, other) for other in others),
            found=face is not None and not same,
            lost=before is not None and not same,
        )

    def _fit(self, image: Image) -> None:
        """Carry the face over to a new picture size: live senders change it as bandwidth does."""
        size = np.array([image.shape[1], image.shape[0]], np.float64)
        if self._face is not None and (size != self._size).any():
            ratio = size / self._size
            box = self._face.box * np.concatenate([ratio, ratio])
            self._face = Face(box, self._face.landmarks * ratio, self._face.score)
            self._steadied = SteadyPoints()
        self._size = size

    def _resting(self, time: float) -> bool:
        """Whether this picture may go unsearched because no face has been here for a while."""
        return (
            self._empty_since is not None
            and time - self._empty_since >= _EMPTY_AFTER
            and 0 <= time - self._searched < _EMPTY_EVERY
        )

    def _followed(self, image: Image) -> Face | None:
        """The face where it was in the picture before, or near."""
        if self._face is None:
            return None
        near = self._cascade.refine(image, self._face.box)
        if near is None:
            return None
        moved = np.abs(near.box - self._face.box).max()
        if moved <= _FAR * self._face.width:
            return near
        return self._cascade.refine(image, near.box)

    def _detected(self, image: Image, followed: Face | None) -> list[Face]:
        """Every face that matters beside the followed one."""
        least = _SMALLER * followed.width if followed is not None else 0.0
        return self._cascade.detect(image, least)

    def _apart(self, image: Image, chosen: Face | None, faces: list[Face]) -> list[Face]:
        """The other faces large enough to be judged, the most prominent first."""
        if chosen is None:
            return []
        apart = [
            face
            for face in faces
            if face.width >= MIN_FACE_PX
            and overlap(chosen.box[None], face.box[None])[0, 0] < _SAME_FACE
        ]
        apart.sort(key=lambda face: -_prominence(face, image))
        return apart[:_MOST_OTHERS]

    def _chosen(
        self, image: Image, followed: Face | None, faces: list[Face]
    ) -> tuple[Face | None, bool]:
        """The face to go on with after a full pass, and whether it is the one followed so far."""
        known = followed or self._face
        same = None
        if known is not None and faces:
            shares = overlap(known.box[None], np.stack([face.box for face in faces]))[0]
            if shares.max() >= _SAME_FACE:
                same = faces[int(shares.argmax())]
            if followed is not None and shares.max() >= _SAME_BOX:
                # The same box by the same route is steadier than one found afresh.
                same = followed
        if same is not None:
            self._unconfirmed = 0
        elif followed is not None and self._unconfirmed < _UNCONFIRMED:
            self._unconfirmed += 1
            same = followed
        best = max(faces, key=lambda face: _prominence(face, image), default=None)
        if same is None or (
            best is not None and _prominence(best, image) > _RIVAL * _prominence(same, image)
        ):
            return best, False
        return same, True

    def _tracked(self, frame: VideoFrame, face: Face, cropped: bool) -> TrackedFace:
        points = np.concatenate([face.box.reshape(2, 2), face.landmarks])
        points = self._steadied.next(frame.time, points)
        steady = Face(points[:2].reshape(4), points[2:], face.score)
        yaw = yaw_degrees(face.landmarks)
        if cropped:
            return _measured(frame, steady, yaw)
        return TrackedFace(
            steady.box, steady.landmarks, steady.score, None, _outline(frame, steady, yaw)
        )


def sharpness(luma: NDArray[np.float32]) -> float:
    """Variance of the Laplacian of `luma` (height, width), 0 to 255.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy". It depends on the
    scale: compare only pictures that show faces at the same width.
    """
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float(np.var(around - 4 * inner))


def yaw_degrees(landmarks: Points) -> float:
    """How far the head is turned, positive towards the picture's right; (5, 2) landmarks.

    The tip of the nose stands out from the plane of the eyes and the mouth, so it leaves their
    middle line as the head turns. A rough measure: noses differ.
    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down = mouth - eyes
    nose = landmarks[2] - eyes
    aside = (down[1] * nose[0] - down[0] * nose[1]) / max(float(np.hypot(*down)), 1e-6)
    apart = float(np.hypot(*(landmarks[1] - landmarks[0])))
    return math.degrees(math.atan2(aside, _NOSE_DEPTH * max(apart, 1e-6)))


def _measured(frame: VideoFrame, face: Face, yaw: float | None = None) -> TrackedFace:
    """The crop and the quality of a face; `yaw` from unsmoothed landmarks where there are such."""
    image = frame.image
    crop = align(image, face.landmarks) if face.width >= MIN_FACE_PX else None
    luma = _luma(crop if crop is not None else align(image, face.landmarks, CROP_SIDE // 2))
    quality = {
        **_outline(frame, face, yaw if yaw is not None else yaw_degrees(face.landmarks)),
        "sharpness": sharpness(luma),
        "brightness": float(luma.mean()) / 255,
    }
    return TrackedFace(face.box, face.landmarks, face.score, crop, quality)


def _outline(frame: VideoFrame, face: Face, yaw: float) -> dict[str, float]:
    """The part of the quality that needs no look at the face."""
    return {"face_px": face.width, "yaw_degrees": yaw, "bits_per_pixel": frame.bits_per_pixel}


def _prominence(face: Face, image: Image) -> float:
    """Area in pixels, down to a quarter of it at the picture's corners."""
    size = np.array([image.shape[1], image.shape[0]])
    centre = (face.box[:2] + face.box[2:]) / 2
    off = float(np.hypot(*(centre / size - 0.5))) * math.sqrt(2)
    return face.width * face.height * (1 - 0.75 * min(off, 1.0))


def _luma(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness of the face inside an upright crop, at half of `CROP_SIDE`; (84, 84), 0 to 255.

    At this scale a face that is wide enough for a crop is shown smaller than it was filmed.
    """
    edge = crop.shape[1] // 8
    inner = crop[:, edge:-edge, edge:-edge]
    luma = (inner * _LUMA).sum(axis=0, dtype=np.uint16) >> _LUMA_BITS
    if crop.shape[1] == CROP_SIDE:
        luma = (luma[0::2, 0::2] + luma[0::2, 1::2] + luma[1::2, 0::2] + luma[1::2, 1::2]) // 4
    return np.asarray(luma, np.float32)
