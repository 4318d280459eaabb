"""Physical cues on a filmed person, as he is and with the one thing broken that each looks at.

Landmarks are those that the service finds. Lips and voice are in test_people.py: the film has no
voice of its own.
"""

from dataclasses import replace

import numpy as np
import pytest

from monitor.analysis.cascade import Cascade
from monitor.analysis.landmarker import Landmarker
from monitor.detectors.blink import Blink
from monitor.detectors.expression import Expression
from monitor.detectors.facial_hair import FacialHair
from monitor.detectors.lighting import Lighting
from monitor.detectors.pulse import Pulse
from monitor.detectors.reflections import Reflections
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.training.face.cues.counterexamples import CASES
from monitor.training.face.cues.cuewindows import service_window, transcode
from monitor.types import AbstentionReason, CueWindow
from monitor.types.landmarks import LEFT_IRIS, RIGHT_IRIS
from monitor.types.protocols import Cue
from tests.e2e.rig import people
from tests.e2e.rig.recordings import Recordings

BLINK = Blink(Catalogue(default_folder()).verified("eyes"))
COUNTED: tuple[Cue, ...] = (BLINK, Expression(), FacialHair(), Lighting(), Reflections())
"""All whose value rises with what is wrong, and that the service's landmarks allow."""


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker(Catalogue(default_folder()).verified("landmarks"))


@pytest.fixture(scope="module")
def person(recordings: Recordings, landmarker: Landmarker) -> CueWindow:
    film = people.fetch(recordings.folder / "people") / people.ALONE
    window = service_window(film, Cascade(), landmarker)
    assert window is not None
    return window


def before_a_lamp(person: CueWindow) -> CueWindow:
    """The same person before one bright lamp, which both corneas show at the same place.

    The film has a dozen crops with faint highlights: whether those suffice to tell one eye from
    the other turns on the last digits of the landmarks, which processors compute differently.
    """
    crops = person.crops.copy()
    rows, columns = np.mgrid[: crops.shape[2], : crops.shape[3]] + 0.5
    for crop, points in zip(crops, person.crop_points, strict=True):
        for iris in (RIGHT_IRIS, LEFT_IRIS):
            ring = points[iris].astype(np.float64)
            radius = np.linalg.norm(ring[1:] - ring[0], axis=1).mean()
            x, y = (columns - ring[0, 0]) / radius, (rows - ring[0, 1]) / radius
            crop[:, np.hypot(x, y) < 1] = 50
            crop[:, np.hypot(x + 0.35, y + 0.35) < 0.3] = 250
    return replace(person, crops=crops)


@pytest.mark.parametrize("cue", COUNTED, ids=lambda cue: cue.name)
def test_a_broken_face_is_further_off_than_the_person(cue: Cue, person: CueWindow) -> None:
    prepare, breaking = CASES[cue.name]
    if cue.name == "reflections":
        person = before_a_lamp(person)
    genuine = cue.measure(prepare(person) if prepare else person)
    broken = cue.measure(breaking(person))
    assert genuine.value is not None, genuine
    assert broken.value is not None, broken
    assert broken.value > genuine.value + 0.3, (genuine, broken)


def test_blinks_are_counted_and_frozen_lids_have_none(person: CueWindow) -> None:
    genuine, frozen = (BLINK.measure(w) for w in (person, CASES["blink"][1](person)))
    assert genuine.details["blinks"] >= 1
    assert frozen.details["blinks"] == 0
    assert Blink().measure(person).reason == AbstentionReason.NOT_MEASURABLE


def test_a_pulse_is_read_where_there_is_one_and_never_counts(person: CueWindow) -> None:
    beating, bloodless = CASES["pulse"]
    assert beating is not None
    seen = Pulse().measure(beating(person))
    assert seen.value == 0
    assert seen.details["beats_per_minute"] == pytest.approx(72, abs=3)
    assert Pulse().measure(bloodless(person)).reason == AbstentionReason.NO_CONTRAST


def test_fine_cues_abstain_on_a_small_picture(
    recordings: Recordings, landmarker: Landmarker
) -> None:
    film = people.fetch(recordings.folder / "people") / people.ALONE
    small = recordings.folder / "small-person.mp4"
    transcode(film, small, 120, 100_000)
    window = service_window(small, Cascade(), landmarker)
    assert window is not None
    for cue in (FacialHair(), Reflections(), Lighting(), BLINK, Expression()):
        assert cue.measure(window).reason == AbstentionReason.FACE_TOO_SMALL, cue.name


@pytest.mark.parametrize("cue", [*COUNTED, Pulse()], ids=lambda cue: cue.name)
def test_landmarks_that_are_no_numbers_are_a_fault_and_not_a_value(
    cue: Cue, person: CueWindow
) -> None:
    window = replace(
        person,
        points=np.full_like(person.points, np.nan),
        crop_points=np.full_like(person.crop_points, np.nan),
        skin=np.full_like(person.skin, np.nan),
    )
    assert cue.measure(window).value is None


@pytest.mark.parametrize("cue", [*COUNTED, Pulse()], ids=lambda cue: cue.name)
def test_nothing_is_said_of_too_little(cue: Cue, person: CueWindow) -> None:
    short = person.times < person.times[0] + 1
    few = person.crop_times < person.times[0] + 1
    window = replace(
        person,
        times=person.times[short],
        points=person.points[short],
        pose=person.pose[short],
        mouths=person.mouths[short],
        eyes=person.eyes[short],
        skin=person.skin[short],
        crop_times=person.crop_times[few],
        crops=person.crops[few],
        crop_points=person.crop_points[few],
        crop_scale=person.crop_scale[few],
    )
    reading = cue.measure(window)
    assert reading.value is None
    assert reading.reason in {AbstentionReason.TOO_SHORT, AbstentionReason.FEW_PICTURES}
