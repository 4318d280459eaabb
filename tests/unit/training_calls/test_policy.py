"""A detector that looks twice has a calibration for each number of looks."""

from dataclasses import replace

import numpy as np

from monitor.decision.quality_bins import MEASURES
from monitor.training.calls.policy import fit
from monitor.training.calls.scored_calls import ScoredCall
from monitor.training.data.clips import Split
from monitor.types import LOOKS
from tests.unit.training_calls.simulated import QUALITY, scored


def calls(looks: float | None) -> list[ScoredCall]:
    """Calls whose fused logits part the labels well, and whose first ones point nowhere."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(80):
        fake = number % 2 == 1
        call = scored(
            (rng.normal(2.0 if fake else -2.0, 1.0, 12)).tolist(),
            f"c-{number}",
            fake=fake,
            split=Split.DEV,
        )
        if looks is not None:
            quality = {**QUALITY, LOOKS: looks}
            windows = tuple(
                replace(w, quality=quality, first=float(rng.normal())) for w in call.windows
            )
            call = replace(call, windows=windows)
        found.append(call)
    return found


def test_two_looks_and_one_have_maps_of_their_own() -> None:
    fitted = fit(calls(2.0)).calibration
    both = fitted.llr(2.0, {**QUALITY, LOOKS: 2.0})
    assert both is not None
    assert both > 1
    # A first look that says nothing counts for nothing, whatever both together are worth.
    alone = fitted.llr(2.0, {**QUALITY, LOOKS: 1.0})
    assert alone is None or abs(alone) < 0.5


def test_a_detector_of_one_look_has_no_more_bins_than_before() -> None:
    fitted = fit(calls(None)).calibration
    assert fitted.cuts == MEASURES
