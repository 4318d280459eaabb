"""Small pictures of sound and faces."""

import numpy as np
import pytest

from monitor.analysis.faces import FaceFrame, TrackedFace
from monitor.calls import preview
from monitor.types import (
    PREVIEW_BANDS,
    PREVIEW_SIDE,
    SAMPLE_RATE,
    AudioWindow,
    FaceLook,
    Span,
)


def window(samples: np.ndarray, fresh: float = 1.0) -> AudioWindow:
    end = len(samples) / SAMPLE_RATE
    return AudioWindow(
        "remote", Span(0, end), Span(end - fresh, end), samples.astype(np.float32), end, 0.0
    )


@pytest.mark.parametrize("hertz", [187.5, 1062.5, 3937.5, 7937.5])
def test_a_tone_stands_in_its_band_at_its_level(hertz: float) -> None:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    found = preview.heard(window(0.1 * np.sin(2 * np.pi * hertz * time)))
    assert found is not None
    assert found.bands.shape == (10, PREVIEW_BANDS)
    assert (found.start, found.end) == (2.0, 3.0)
    loudest = int(found.bands[5].argmax())
    assert loudest == int(hertz / (SAMPLE_RATE / 2 / PREVIEW_BANDS))
    decibels = found.bands[5, loudest] / 255 * 96 - 96
    assert decibels == pytest.approx(-20, abs=0.5)


def test_silence_is_the_floor_and_a_short_rest_is_nothing() -> None:
    found = preview.heard(window(np.zeros(3 * SAMPLE_RATE)))
    assert found is not None
    assert not found.bands.any()
    assert preview.heard(window(np.zeros(3 * SAMPLE_RATE), fresh=0.05)) is None
    assert preview.heard(window(np.zeros(0), fresh=5.0)) is None


def frame(crop: bool) -> FaceFrame:
    picture = np.arange(3 * 224 * 224, dtype=np.uint32).astype(np.uint8).reshape(3, 224, 224)
    face = TrackedFace(
        np.zeros(4), np.zeros((5, 2)), 0.99, picture if crop else None, {"face_px": 120.0}
    )
    return FaceFrame("remote", 2.0, face, (), False, False)


def test_a_face_is_shown_small_with_its_heat_map() -> None:
    heat = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    found = preview.seen(frame(crop=True), FaceLook(1.0, heat))
    assert found is not None
    assert found.crop.shape == (3, PREVIEW_SIDE, PREVIEW_SIDE)
    assert found.heatmap is not None
    assert found.heatmap.tolist() == [[0, 128], [255, 64]]
    unjudged = preview.seen(frame(crop=True), None)
    assert unjudged is not None
    assert unjudged.heatmap is None


def test_a_face_without_a_crop_is_not_shown() -> None:
    assert preview.seen(frame(crop=False), None) is None
    nobody = FaceFrame("remote", 2.0, None, (), False, False)
    assert preview.seen(nobody, None) is None
