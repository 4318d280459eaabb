"""Genuine calls become a policy that the service reads back."""

import numpy as np
import pytest

from monitor.decision import policy
from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED
from monitor.decision.paths import statistic_path
from monitor.decision.policy import PolicyError
from monitor.decision.quality_bins import BinnedCalibration, QualityBin
from monitor.decision.reference import (
    GenuineCall,
    ScoredWindow,
    reference_calls,
    sets_thresholds,
    write_policy,
)
from monitor.decision.sequential import ScanModel
from monitor.types import Span

SCAN = ScanModel(0.0, 2.5, 0.3, 0.7, 0.7)
CALIBRATION = BinnedCalibration({}, (QualityBin({}, Calibration(1, 0, -3, 3), 0.5, 99, 99),))


def genuine(name: str, windows: int, seed: int = 0) -> GenuineCall:
    values = np.random.default_rng(seed).normal(0, 1, windows)
    return GenuineCall(
        name,
        windows + 2.0,
        [
            ScoredWindow(Span(i, i + 3.0), float(x), {"bandwidth_hz": 3400.0}, 3.0 if i == 0 else 1)
            for i, x in enumerate(values)
        ],
    )


def test_written_and_read_back() -> None:
    calls = [genuine(f"caller {i}", 40, i) for i in range(300)]
    text = write_policy(calls, CALIBRATION, SCAN, model="m", date="2026-01-01", source="tests")
    read = policy.loads(text)
    assert read.calibration == CALIBRATION
    assert read.scan == SCAN
    certificate = read.certificate
    assert (certificate.model, certificate.source) == ("m", "tests")
    assert len(certificate.maxima[POOLED]) == 300
    assert certificate.tiers["review"].calls == sum(not sets_thresholds(c.name) for c in calls)
    assert sum(read.reference["bandwidth_hz"].counts) == 300 * 40
    assert policy.loads(text).identity == read.identity
    assert policy.loads(text.replace("tests", "other")).identity != read.identity


def test_one_speaker_stays_on_one_side() -> None:
    sides = {sets_thresholds("caller 7") for _ in range(3)}
    assert len(sides) == 1
    share = np.mean([sets_thresholds(f"caller {i}") for i in range(2000)])
    assert share == pytest.approx(0.6, abs=0.04)


def test_a_long_call_gives_stretches_of_the_horizon() -> None:
    stretches = reference_calls([genuine("long", 700)], CALIBRATION, SCAN)
    assert len(stretches) == 3
    assert {s.call for s in stretches} == {"long"}
    assert sum(s.hours for s in stretches) == pytest.approx(702 / 3600)
    assert {s.stratum for s in stretches} == {"audio/narrow"}


def test_nothing_is_decided_while_warming() -> None:
    spans = [Span(i, i + 3.0) for i in range(6)]
    path = statistic_path([9.0] * 6, spans, [3, 1, 1, 1, 1, 1], SCAN)
    assert [np.isfinite(x) for x in path] == [False, False, False, True, True, True]


def test_calls_without_speech_cannot_calibrate() -> None:
    with pytest.raises(ValueError, match="no genuine call"):
        write_policy([genuine("short", 2)], CALIBRATION, SCAN, model="m", date="d", source="s")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("{", "["), "JSON|version"),
        (('"version": 2', '"version": 1'), "version"),
        (('"slope"', '"slop"'), "calibration"),
        (('"separation"', '"sep"'), "scan"),
        (('"statistic": "scan"', '"statistic": "tea leaves"'), "statistic"),
        (('"pooled"', '"puddled"'), "certificate"),
        (('"budget_per_hour"', '"budget"'), "certificate.tiers"),
    ],
)
def test_a_wrong_field_is_named(change: tuple[str, str], named: str) -> None:
    calls = [genuine(f"caller {i}", 40, i) for i in range(30)]
    text = write_policy(calls, CALIBRATION, SCAN, model="m", date="d", source="s")
    with pytest.raises(PolicyError, match=named):
        policy.loads(text.replace(*change))
