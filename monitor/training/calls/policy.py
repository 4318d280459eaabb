"""Scored held-out calls → the policy that ships with the model.

Three disjoint sets of calls. Calls of the development and test sources, genuine and fake, fit
the calibration and the scan model; genuine calls of the human-only split set the thresholds
and test them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.decision import sequential
from monitor.decision.quality_bins import (
    LOOKS_CUTS,
    MEASURES,
    BinnedCalibration,
    LabelledWindow,
    fit_bins,
)
from monitor.decision.reference import GenuineCall, ScoredWindow, write_policy
from monitor.decision.sequential import ScanModel
from monitor.training.calls.scored_calls import ScoredCall
from monitor.training.data.clips import Split
from monitor.types import LOOKS

WINDOWS_PER_CALL = 30
"""Most windows one call gives to the calibration: long calls must not outweigh short ones."""
SOURCE = (
    "held-out human speech of the development data: read speech for the most part, three tenths "
    "of the speakers through G.711, a seventh through AMR, a fifth with noise, most calls shorter "
    "than a minute"
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the calls of both labels determine."""

    calibration: BinnedCalibration
    scan: ScanModel


def fit(calls: Sequence[ScoredCall]) -> Fitted:
    """Fit calibration and scan model on calls of the development and test sources.

    Raises ValueError if the detector does not separate the classes.
    """
    fitting = [c for c in calls if c.split in (Split.DEV, Split.TEST)]
    rng = np.random.default_rng(0)
    windows = [
        labelled for call in fitting for w in _sample(call, rng) for labelled in _labelled(call, w)
    ]
    twice = any(LOOKS in w.quality for w in windows)
    calibration = fit_bins(windows, {**MEASURES, **LOOKS_CUTS} if twice else MEASURES)
    genuine, fake = (
        [x for c in fitting if c.fake is kind and len(x := llrs(c, calibration))]
        for kind in (False, True)
    )
    return Fitted(calibration, sequential.fit(genuine, fake))


def llrs(call: ScoredCall, calibration: BinnedCalibration) -> NDArray[np.float64]:
    """Calibrated evidence of a call's measurable windows."""
    found = (calibration.llr(w.value, w.quality) for w in call.windows)
    return np.array([x for x in found if x is not None], np.float64)


def genuine_calls(calls: Sequence[ScoredCall]) -> list[GenuineCall]:
    """The human-only split in the decision's own terms."""
    return [
        GenuineCall(call.name, call.seconds, call.windows)
        for call in calls
        if call.split == Split.HUMAN and not call.fake
    ]


def policy_text(calls: Sequence[ScoredCall], model: str, date: str) -> str:
    """Fit on scored held-out calls and return the policy file's text."""
    fitted = fit(calls)
    return write_policy(
        genuine_calls(calls),
        fitted.calibration,
        fitted.scan,
        model=model,
        date=date,
        source=SOURCE,
    )


def _labelled(call: ScoredCall, window: ScoredWindow) -> Iterator[LabelledWindow]:
    """A window as it was judged, and by its first look alone: a full machine takes no second."""
    yield LabelledWindow(call.name, call.fake, window.value, window.quality)
    if window.first is not None and window.quality.get(LOOKS, 1.0) > 1:
        yield LabelledWindow(call.name, call.fake, window.first, {**window.quality, LOOKS: 1.0})


def _sample(call: ScoredCall, rng: np.random.Generator) -> list[ScoredWindow]:
    if len(call.windows) <= WINDOWS_PER_CALL:
        return list(call.windows)
    chosen = rng.choice(len(call.windows), WINDOWS_PER_CALL, replace=False)
    return [call.windows[i] for i in chosen]
