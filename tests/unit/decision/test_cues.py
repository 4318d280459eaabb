"""A cue may accuse a face, within its cap, and acquits none."""

import numpy as np
import pytest

from monitor.decision.cues import CAP, SCALES, CueScale, scale


@pytest.mark.parametrize("cue", [*SCALES, "blink", "pulse"])
def test_no_value_speaks_for_a_genuine_face_or_above_the_cap(cue: str) -> None:
    said = [scale(cue).llr(value) for value in np.linspace(-50, 50, 1001)]
    assert min(said) == 0
    assert max(said) <= CAP
    assert said == sorted(said)


def test_lips_that_fit_no_voice_count() -> None:
    assert scale("sync").llr(0.0) == CAP


@pytest.mark.parametrize("cap", [-0.1, CAP + 0.1])
def test_a_cap_beyond_the_common_one_is_refused(cap: float) -> None:
    with pytest.raises(ValueError, match="cap"):
        CueScale(1.0, 0.0, cap)
