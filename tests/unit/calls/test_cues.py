"""Landmarks in bursts: when they are looked for, and what windows say of the time between."""

from dataclasses import replace

import numpy as np

from monitor.analysis.faces import FaceFrame, TrackedFace
from monitor.analysis.landmarker import Landmarks
from monitor.calls.cues import CuePath
from monitor.calls.thinning import Thinning
from monitor.training.face.forgery.masks import typical_points
from monitor.types import (
    Abstention,
    AbstentionReason,
    CueWindow,
    Outcome,
    Reading,
    Score,
    VideoFrame,
)
from monitor.types.landmarks import POINTS
from monitor.types.sampling import Sampling
from tests.fakes import stages

IMAGE = np.zeros((300, 300, 3), np.uint8)
FACE = typical_points()
SAMPLING = Sampling(fps=5.0, burst_fps=15.0, burst_seconds=10.0, burst_every=30.0)


class Finder:
    """In the landmarker's place: the same face each time, and how often it was asked for."""

    model = "fakefakefake"

    def __init__(self, trust: float = 1.0) -> None:
        self.trust = trust
        self.asked = 0

    def find(self, image: np.ndarray, five: np.ndarray) -> Landmarks:
        self.asked += 1
        return Landmarks(FACE.astype(np.float32), np.zeros(3, np.float32), self.trust)


class Counting:
    """A cue whose value is the number of pictures it was shown."""

    name = "counting"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        assert window.points.shape[1:] == (POINTS, 2)
        return Reading(float(len(window.times)))


def seen(time: float) -> FaceFrame:
    five = np.stack([FACE[0:16].mean(0), FACE[16:32].mean(0), FACE[98], FACE[42], FACE[48]])
    face = TrackedFace(np.array([80.0, 60, 200, 220]), five, 1.0, None, {})
    return FaceFrame("anna", time, face, (), found=time == 0, lost=False)


async def outcomes(seconds: float, finder: Finder, face: bool = True) -> list[Outcome]:
    made = stages()
    made = replace(made, sampling=SAMPLING, judges=replace(made.judges, cues=(Counting(),)))
    path = CuePath("call", "anna", made, finder, Thinning())  # type: ignore[arg-type]
    found = []
    for i in range(round(seconds * 15)):
        time = i / 15
        if not SAMPLING.bursting(time) and i % 3:
            continue
        look = seen(time) if face and i % 3 == 0 else None
        found += await path.push(VideoFrame("anna", time, IMAGE), look)
    return found + await path.finish()


async def test_landmarks_are_looked_for_in_bursts_only_and_windows_say_so() -> None:
    finder = Finder()
    found = await outcomes(60, finder)
    assert finder.asked == 2 * 10 * 15
    told = [(round(o.fresh.start), round(o.fresh.end)) for o in found]
    assert told == [(0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60)]
    between = AbstentionReason.NOT_SAMPLED
    reasons = [o.reason if isinstance(o, Abstention) else None for o in found]
    assert reasons == [None, between, between, None, between, between]
    scores = [o for o in found if isinstance(o, Score)]
    assert [o.value for o in scores] == [150, 300], "a window looks back over the bursts"


async def test_a_burst_without_a_face_is_no_face_and_not_unsampled() -> None:
    finder = Finder()
    found = await outcomes(12, finder, face=False)
    assert finder.asked == 0
    assert isinstance(found[0], Abstention)
    assert found[0].reason is AbstentionReason.NO_FACE


async def test_landmarks_that_are_not_believed_are_not_used() -> None:
    (first, *_) = await outcomes(12, Finder(trust=0.2))
    assert isinstance(first, Abstention)
    assert first.reason is AbstentionReason.NO_FACE
