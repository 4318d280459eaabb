"""The real networks on real pictures, which scikit-image carries: astronaut.png shows one face."""

from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.analysis.alignment import TEMPLATE, Points, crop_map
from monitor.analysis.cascade import Cascade, Face, network_path
from monitor.analysis.faces import FaceFrame, FaceTracker
from monitor.types import Image, VideoFrame

FACE = np.array([178, 60, 268, 174.0])
"""Where astronaut.png shows the face, brow to chin."""
LANDMARKS = np.array([[203, 101], [247, 103], [225, 129], [201, 140], [245, 142.0]])


def picture(name: str, scale: float = 1.0) -> Image:
    """A picture of scikit-image's, which is only located and never imported."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "data" / name
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    return scaled(frame, scale)


def scaled(frame: av.VideoFrame, scale: float) -> Image:
    width, height = round(frame.width * scale), round(frame.height * scale)
    return np.asarray(frame.reformat(width, height, format="rgb24").to_ndarray(), np.uint8)


def scene(subject: Image, x: int, y: int) -> Image:
    """640x480 with `subject`'s top left corner at (x, y), possibly outside."""
    rows, columns = np.mgrid[:480, :640]
    canvas = np.stack([columns // 4, rows // 4, np.full_like(rows, 90)], axis=2).astype(np.uint8)
    top, left = max(y, 0), max(x, 0)
    part = subject[max(-y, 0) : 480 - y, max(-x, 0) : 640 - x] if x < 640 and y < 480 else None
    if part is not None and part.size:
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


def follow(tracker: FaceTracker, image: Image, time: float) -> FaceFrame:
    return tracker.look(VideoFrame("anna", time, image))


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    return Cascade()


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return picture("astronaut.png")


@pytest.fixture(scope="module")
def found(cascade: Cascade, astronaut: Image) -> Face:
    (face,) = cascade.detect(astronaut)
    return face


def test_the_face_is_found_where_it_is(found: Face) -> None:
    assert np.abs(found.box - FACE).max() < 8
    assert found.score > 0.99


def test_landmarks_are_in_order_and_in_place(found: Face) -> None:
    assert np.abs(found.landmarks - LANDMARKS).max() < 4


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.8, 3.0])
def test_scaled_copies_have_scaled_faces(cascade: Cascade, scale: float) -> None:
    (face,) = cascade.detect(picture("astronaut.png", scale))
    assert np.abs(face.box / scale - FACE).max() < 10
    assert np.abs(face.landmarks / scale - LANDMARKS).max() < 5


def test_a_mirrored_picture_mirrors_the_face(cascade: Cascade, astronaut: Image) -> None:
    (face,) = cascade.detect(astronaut[:, ::-1])
    mirrored = LANDMARKS[[1, 0, 2, 4, 3]] * [-1, 1] + [512, 0]
    assert np.abs(face.landmarks - mirrored).max() < 5


def test_a_rough_box_is_refined(cascade: Cascade, astronaut: Image, found: Face) -> None:
    for x, y in ((0.12, 0), (-0.12, 0.05), (0, -0.12)):
        shift = np.array([x, y, x, y]) * found.width
        face = cascade.refine(astronaut, found.box + shift)
        assert face is not None
        assert np.abs(face.box - found.box).max() < 8
    assert cascade.refine(astronaut, np.array([20, 300, 120, 420.0])) is None


@pytest.mark.parametrize(
    "name", ["coffee.png", "chelsea.png", "motorcycle_left.png", "ihc.png", "cell.png"]
)
def test_pictures_of_other_things_have_no_face(cascade: Cascade, name: str) -> None:
    image = picture(name)
    assert cascade.detect(image) == []


def test_synthetic_pictures_have_no_face(cascade: Cascade) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    black = np.zeros((480, 640, 3), np.uint8)
    for image in (noise, black, scene(black, 640, 480), black[:20, :30]):
        assert cascade.detect(image) == []


def test_a_face_below_the_minimum_is_not_searched_for(astronaut: Image) -> None:
    assert Cascade(min_face=200).detect(astronaut) == []


def test_a_pan_is_followed(cascade: Cascade, astronaut: Image) -> None:
    tracker = FaceTracker(cascade)
    start: Points | None = None
    for i in range(25):
        x, y = 14 * i - 100, 3 * i - 30
        seen = follow(tracker, scene(astronaut, x, y), i / 5)
        assert seen.face is not None
        assert seen.found == (i == 0)
        landmarks = seen.face.landmarks - [x, y]
        start = landmarks if start is None else start
        assert np.abs(landmarks - start).max() < 5
        assert np.abs(seen.face.box - [x, y, x, y] - FACE).max() < 10


def test_a_face_that_leaves_is_lost_and_found_again(cascade: Cascade, astronaut: Image) -> None:
    tracker = FaceTracker(cascade)
    away = scene(picture("coffee.png"), 0, 0)
    seen = []
    for i in range(20):
        image = away if 8 <= i < 14 else scene(astronaut, 60, 0)
        seen.append(follow(tracker, image, i / 5))
    assert [i for i, one in enumerate(seen) if one.found] == [0, 14]
    assert [i for i, one in enumerate(seen) if one.lost] == [8]
    assert [one.face is not None for one in seen] == [True] * 8 + [False] * 6 + [True] * 6


def test_the_crop_is_upright_with_the_landmarks_at_the_template(
    cascade: Cascade, astronaut: Image
) -> None:
    seen = follow(FaceTracker(cascade), astronaut, 0.0).face
    assert seen is not None
    assert seen.crop is not None
    assert seen.crop.shape == (3, 224, 224)
    back = crop_map(seen.landmarks)
    placed = TEMPLATE * 224 @ back[:, :2].T + back[:, 2]
    # The eyes, as found in the crop by a fresh look at it.
    inside = cascade.refine(
        np.ascontiguousarray(seen.crop.transpose(1, 2, 0)), np.array([48, 26, 176, 198.0])
    )
    assert inside is not None
    assert np.abs(inside.landmarks[:2] - TEMPLATE[:2] * 224).max() < 3
    assert np.abs(placed - seen.landmarks).max() < 5


def test_a_small_face_is_measured_and_flagged(cascade: Cascade) -> None:
    small = follow(FaceTracker(cascade), picture("astronaut.png", 0.6), 0.0).face
    assert small is not None
    assert small.crop is None
    assert small.quality["face_px"] == pytest.approx(54, abs=6)


def test_an_enlarged_small_face_is_as_wide_but_less_sharp(cascade: Cascade) -> None:
    small = av.VideoFrame.from_ndarray(picture("astronaut.png", 0.35), "rgb24")
    soft = follow(FaceTracker(cascade), scaled(small, 5), 0.0).face
    sharp = follow(FaceTracker(cascade), picture("astronaut.png", 1.75), 0.0).face
    assert soft is not None
    assert sharp is not None
    assert soft.quality["face_px"] == pytest.approx(sharp.quality["face_px"], rel=0.1)
    assert soft.quality["sharpness"] < sharp.quality["sharpness"] / 2
    assert abs(sharp.quality["yaw_degrees"]) < 20
    assert 0.3 < sharp.quality["brightness"] < 0.9


def test_a_missing_network_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="qnet"):
        network_path("qnet")


def test_further_faces_are_shown_when_the_whole_picture_is_searched(
    cascade: Cascade, astronaut: Image
) -> None:
    image = np.concatenate([astronaut[:, 80:360]] * 3, axis=1)
    tracker = FaceTracker(cascade)
    first, second = follow(tracker, image, 0.0), follow(tracker, image, 0.2)
    assert first.face is not None
    assert len(first.others) == 2
    for other in first.others:
        assert other.crop is not None
        assert abs(other.box[0] - first.face.box[0]) > 100
    assert second.others == ()
