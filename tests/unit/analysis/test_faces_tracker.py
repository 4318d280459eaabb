import numpy as np
import pytest

from monitor.analysis.alignment import TEMPLATE
from monitor.analysis.cascade import Boxes, Cascade, Face, overlap, squared, suppressed
from monitor.analysis.faces import FaceFrame, FaceTracker, sharpness, yaw_degrees
from monitor.types import Image, VideoFrame


def face(x: float, y: float, width: float = 120.0) -> Face:
    """A frontal face whose box starts at (x, y)."""
    height = 1.3 * width
    middle = np.array([x + width / 2, y + height / 2])
    landmarks = (TEMPLATE - 0.5) * 1.3 * height + middle
    return Face(np.array([x, y, x + width, y + height]), landmarks, 0.99)


class Scene(Cascade):
    """Faces put where a test wants them, instead of found by networks."""

    def __init__(self) -> None:
        self.faces: list[Face] = []
        self.hidden_from_detect = False
        self.hidden_from_refine = False
        self.passes = 0

    def detect(self, image: Image, least: float = 0.0) -> list[Face]:
        self.passes += 1
        if self.hidden_from_detect:
            return []
        return [one for one in self.faces if one.width >= least]

    def refine(self, image: Image, box: Boxes, min_score: float = 0.6) -> Face | None:
        if self.hidden_from_refine or not self.faces:
            return None
        shares = overlap(box[None], np.stack([one.box for one in self.faces]))[0]
        return self.faces[int(shares.argmax())] if shares.max() > 0.5 else None


class Watch:
    """A tracker that looks at a scene five times a second."""

    def __init__(self, scene: Scene, rate: float = 5.0) -> None:
        self.tracker = FaceTracker(scene)
        self.time = 0.0
        self.rate = rate
        self.image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)

    def look(self) -> FaceFrame:
        seen = self.tracker.look(VideoFrame("anna", self.time, self.image))
        self.time += 1 / self.rate
        return seen


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def watch(scene: Scene) -> Watch:
    return Watch(scene)


def box_of(seen: FaceFrame) -> Boxes:
    assert seen.face is not None
    return seen.face.box


def test_a_full_pass_runs_once_a_second_and_half_as_often_for_who_is_alone(
    scene: Scene, watch: Watch
) -> None:
    scene.faces = [face(200, 100)]
    for _ in range(50):
        watch.look()
    assert 5 <= scene.passes <= 6
    scene.passes = 0
    scene.faces = [face(200, 100), face(400, 100)]
    for _ in range(50):
        watch.look()
    assert 8 <= scene.passes <= 10
    scene.passes = 0
    scene.faces = [face(200, 100)]
    scene.hidden_from_detect = True
    for _ in range(15):
        watch.look()
    assert 2 <= scene.passes <= 3


def test_found_and_lost_are_told_once(scene: Scene, watch: Watch) -> None:
    empty = watch.look()
    assert (empty.face, empty.found, empty.lost) == (None, False, False)
    scene.faces = [face(200, 100)]
    assert watch.look().found
    assert not watch.look().found
    scene.faces = []
    gone = watch.look()
    assert (gone.face, gone.found, gone.lost) == (None, False, True)
    assert not watch.look().lost
    scene.faces = [face(300, 100)]
    assert watch.look().found


def test_an_empty_picture_is_searched_less_often(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(200, 100)]
    watch.look()
    scene.faces = []
    for _ in range(10):
        watch.look()
    assert scene.passes == 11
    for _ in range(50):
        watch.look()
    assert scene.passes <= 11 + 20
    scene.faces = [face(200, 100)]
    assert any(watch.look().found for _ in range(3))


def test_a_face_that_jumps_is_searched_for_in_the_same_picture(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(100, 100)]
    watch.look()
    watch.look()
    scene.faces = [face(450, 200)]
    seen = watch.look()
    assert (seen.found, seen.lost) == (True, True)
    assert np.allclose(box_of(seen), scene.faces[0].box)


def test_large_and_central_wins(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(10, 10, 100), face(270, 160, 100), face(500, 300, 100)]
    assert np.allclose(box_of(watch.look()), scene.faces[1].box)
    scene.faces = [face(10, 10, 200), face(300, 160, 90)]
    assert np.allclose(box_of(Watch(scene).look()), scene.faces[0].box)


def test_the_followed_face_stays_until_another_dwarfs_it(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(250, 150, 100)]
    watch.look()
    scene.faces.append(face(400, 100, 125))
    for _ in range(12):
        assert box_of(watch.look())[0] == pytest.approx(250)
    scene.faces[1] = face(400, 60, 200)
    seen = [watch.look() for _ in range(6)]
    assert [s.found and s.lost for s in seen].count(True) == 1
    assert box_of(seen[-1])[0] == pytest.approx(400)


def test_a_turned_head_is_kept_for_a_while(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(250, 150)]
    watch.look()
    scene.hidden_from_detect = True
    seen = [watch.look() for _ in range(25)]
    assert all(s.face is not None for s in seen[:15])
    assert sum(s.lost for s in seen) == 1
    assert seen[-1].face is None


def test_a_gap_in_time_does_not_end_a_track(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(250, 150)]
    watch.look()
    watch.time += 60
    seen = watch.look()
    assert (seen.found, seen.lost) == (False, False)
    assert scene.passes == 2


def test_a_new_picture_size_does_not_end_a_track(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(400, 200, 160)]
    watch.look()
    scene.faces = [face(200, 100, 80)]
    watch.image = watch.image[::2, ::2]
    seen = watch.look()
    assert (seen.found, seen.lost) == (False, False)
    assert np.allclose(box_of(seen), scene.faces[0].box)


def test_jitter_is_smoothed_away(scene: Scene, watch: Watch) -> None:
    rng = np.random.default_rng(5)
    raw, smooth = [], []
    for _ in range(200):
        scene.faces = [face(*(rng.normal(0, 1.5, 2) + [250, 150]))]
        raw.append(scene.faces[0].box[0])
        smooth.append(box_of(watch.look())[0])
    assert np.diff(smooth).std() < 0.7 * np.diff(raw).std()
    assert np.mean(smooth) == pytest.approx(np.mean(raw), abs=1)


@pytest.mark.parametrize(("rate", "speed"), [(5, 150), (5, 300), (25, 300), (25, 600)])
def test_a_pan_is_followed_without_lag(scene: Scene, rate: float, speed: float) -> None:
    watch = Watch(scene, rate)
    for _ in range(int(400 / speed * rate)):
        scene.faces = [face(20 + speed * watch.time, 150)]
        assert box_of(watch.look())[0] == pytest.approx(scene.faces[0].box[0], abs=4)


def test_small_faces_are_measured_but_have_no_crop(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(250, 150, 79)]
    small = watch.look().face
    assert small is not None
    assert small.crop is None
    assert small.quality["face_px"] == pytest.approx(79)
    scene.faces = [face(250, 150, 81)]
    large = Watch(scene).look().face
    assert large is not None
    assert large.crop is not None
    assert set(large.quality) == set(small.quality)


def test_quality_tells_dark_and_soft_pictures(scene: Scene, watch: Watch) -> None:
    scene.faces = [face(250, 150)]
    sharp = watch.look().face
    watch.image = watch.image // 4
    dark = watch.look().face
    watch.image = np.full_like(watch.image, 200)
    flat = watch.look().face
    assert sharp is not None
    assert dark is not None
    assert flat is not None
    assert sharp.quality["brightness"] == pytest.approx(0.5, abs=0.02)
    assert dark.quality["brightness"] == pytest.approx(0.125, abs=0.02)
    assert flat.quality["brightness"] == pytest.approx(200 / 255, abs=0.01)
    assert flat.quality["sharpness"] == 0
    assert sharp.quality["sharpness"] > 10 * dark.quality["sharpness"] > 0


def test_sharpness_falls_with_blur() -> None:
    rng = np.random.default_rng(1)
    luma = rng.uniform(0, 255, (84, 84)).astype(np.float32)
    below, right = np.roll(luma, 1, 0), np.roll(luma, 1, 1)
    soft = (luma + below + right + np.roll(below, 1, 1)) / 4
    assert sharpness(soft.astype(np.float32)) < sharpness(luma) / 4


def test_yaw_follows_the_nose() -> None:
    landmarks = TEMPLATE * 200
    assert yaw_degrees(landmarks) == pytest.approx(0, abs=0.5)
    landmarks[2, 0] += 12
    right = yaw_degrees(landmarks)
    assert 15 < right < 45
    landmarks[2, 0] -= 24
    assert yaw_degrees(landmarks) == pytest.approx(-right)


def test_suppression_keeps_the_most_certain_of_each_group() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60.0]])
    kept = suppressed(boxes, np.array([0.8, 0.9, 0.7], np.float32), 0.5)
    assert kept.tolist() == [1, 2]


def test_suppression_of_nothing() -> None:
    assert suppressed(np.zeros((0, 4)), np.zeros(0, np.float32), 0.5).tolist() == []


def test_a_box_inside_another_overlaps_it_wholly_by_the_smaller() -> None:
    boxes = np.array([[0, 0, 20, 20], [5, 5, 15, 15.0]])
    assert overlap(boxes, boxes)[0, 1] == 0.25
    assert overlap(boxes, boxes, smaller=True)[0, 1] == 1.0


def test_squares_keep_the_centre() -> None:
    assert squared(np.array([[0, 0, 10, 20.0]])).tolist() == [[-5, 0, 15, 20]]
