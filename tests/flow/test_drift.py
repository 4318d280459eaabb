"""The drift sink hears windows and finished calls, and shows what it makes of them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from monitor.calls.call import Call
from monitor.calls.stages import Judges
from monitor.decision.certificate import POOLED
from monitor.decision.drift import Histogram
from monitor.delivery.drift import FEWEST_CALLS, RECENT, Drift
from monitor.delivery.fanout import Fanout
from monitor.detectors.face import FaceDetector
from monitor.metrics.sink import Metrics
from monitor.service.judges import watches
from monitor.types import (
    Abstention,
    AbstentionReason,
    AlarmState,
    AlertType,
    Score,
    Seconds,
    Span,
    Verdict,
)
from tests.fakes import POLICY, LevelDetector, MemorySink, ScriptedSource, noise, stages

SCORES = (-4.0, -2.0, 0.0, 2.0, 4.0)
LEVELS = (-40.0, -30.0, -20.0)


def judges() -> Judges:
    """A reference of calls with scores around -2 and levels around -30 dBFS."""
    rng = np.random.default_rng(0)
    reference = {
        "score": Histogram.of(SCORES, rng.normal(-2, 1, 5000).tolist()),
        "level_dbfs": Histogram.of(LEVELS, rng.normal(-30, 5, 5000).tolist()),
    }
    maxima = {POOLED: tuple(sorted(rng.normal(0, 1, 100).tolist()))}
    policy = replace(
        POLICY, reference=reference, certificate=replace(POLICY.certificate, maxima=maxima)
    )
    return Judges(LevelDetector(), FaceDetector(), {AlertType.VOICE: policy})


class Site:
    """Calls that come in, of simulated scores, levels and maxima."""

    def __init__(self, seed: int = 0) -> None:
        self.metrics = Metrics()
        self._judges = judges()
        self._rng = np.random.default_rng(seed)
        self.drift = Drift(watches(self._judges), self.metrics, tie=self._rng.random)
        self._calls = 0

    def call(
        self,
        shift: float = 0.0,
        windows: int = 30,
        state: AlarmState = AlarmState.NORMAL,
        participants: Sequence[str] = ("remote",),
    ) -> None:
        self._calls += 1
        call = str(self._calls)
        self.drift.call_started(call, "whip", participants[0])
        for participant in participants:
            for i in range(windows):
                self.drift.window(call, self._score(participant, i, shift))
            certificate = self._judges.policies[AlertType.VOICE].certificate
            maximum = self._rng.normal(shift, 1)
            for p in (1.0, certificate.p_value(maximum)):
                self.drift.verdict(call, verdict(state, p, participant))
        self.drift.call_ended(call, "ended")

    def _score(self, participant: str, at: int, shift: float) -> Score:
        return Score(
            detector="voice", participant=participant, span=Span(at, at + 3),
            fresh=Span(at + 2, at + 3), value=self._rng.normal(-2 + shift, 1), llr=0.0,
            quality={"level_dbfs": self._rng.normal(-30, 5), "unknown": 1.0, "snr_db": math.nan},
            model="m", calibration="c",
        )  # fmt: skip

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def index(self, measure: str) -> float | None:
        return self.value("monitor_drift_stability_index", type="voice", measure=measure)

    @property
    def evidence(self) -> float:
        found = self.value("monitor_drift_martingale_log10", type="voice")
        assert found is not None
        return found


def verdict(state: AlarmState, p: float | None, participant: str = "remote") -> Verdict:
    seconds = Seconds(30.0, {}, {})
    return Verdict(participant, 30.0, state, AlertType.VOICE, 0.0, 0.0, p, None, seconds)


def abstention(reason: AbstentionReason, detector: str = "voice") -> Abstention:
    span = Span(0.0, 3.0)
    return Abstention(detector=detector, participant="remote", span=span, fresh=span, reason=reason)


def test_calls_like_the_reference_show_no_drift() -> None:
    for seed in range(5):
        site = Site(seed)
        for _ in range(200):
            site.call()
            assert site.evidence < 2
        assert site.index("score") == pytest.approx(0, abs=0.05)
        assert site.index("level_dbfs") == pytest.approx(0, abs=0.05)


def test_shifted_calls_show_in_both_views_and_only_where_they_shifted() -> None:
    """A shift by one standard deviation after 100 usual calls shows within 80 calls."""
    site = Site()
    for _ in range(100):
        site.call()
    needed = 0
    while site.evidence <= 2:
        site.call(shift=1.0)
        needed += 1
        assert needed <= 80
    for _ in range(700 - needed):
        site.call(shift=1.0)
    score, level = site.index("score"), site.index("level_dbfs")
    assert score is not None
    assert score > 0.25
    assert level == pytest.approx(0, abs=0.05)
    record = site.drift.record()["types"]["voice"]
    assert record["calls"] == 800
    assert record["martingale_log10"] == pytest.approx(site.evidence, abs=1e-4)
    assert record["stability_index"]["score"] == pytest.approx(score, abs=1e-4)


def test_nothing_is_shown_before_there_is_enough() -> None:
    site = Site()
    for _ in range(FEWEST_CALLS - 1):
        site.call(shift=3.0, windows=50)
    shown = site.index("score")
    assert shown is not None
    assert math.isnan(shown)
    assert site.drift.record()["types"]["voice"]["stability_index"]["score"] is None
    site.call(shift=3.0)
    shown = site.index("score")
    assert shown is not None
    assert shown > 0.25


def test_a_calls_last_p_value_counts_once_for_each_participant() -> None:
    site = Site()
    site.call(participants=("agent", "customer"))
    assert site.drift.record()["types"]["voice"]["calls"] == 2


def test_calls_that_say_nothing_do_not_count() -> None:
    site = Site()
    site.call(state=AlarmState.WARMING)
    site.drift.verdict("silent", verdict(AlarmState.NORMAL, None))
    site.drift.call_ended("silent", "ended")
    site.drift.call_ended("unheard of", "ended")
    other = replace(verdict(AlarmState.NORMAL, 0.5), type=AlertType.FACE)
    site.drift.verdict("face", other)
    site.drift.call_ended("face", "ended")
    assert site.drift.record()["types"]["voice"]["calls"] == 0
    assert site.evidence == 0


def test_the_share_of_abstentions_is_of_what_could_have_been_judged() -> None:
    site = Site()
    labels = {"detector": "voice"}
    for reason in (AbstentionReason.SILENCE, AbstentionReason.NO_MODEL):
        site.drift.window("c", abstention(reason))
    assert site.value("monitor_abstained_ratio", **labels) is None
    site.drift.window("c", abstention(AbstentionReason.GAP))
    assert site.value("monitor_abstained_ratio", **labels) == 1
    site.call(windows=3)
    assert site.value("monitor_abstained_ratio", **labels) == pytest.approx(0.25)
    site.drift.window("c", abstention(AbstentionReason.NO_FACE, "face"))
    assert site.value("monitor_abstained_ratio", detector="face") == 1
    site.call(windows=RECENT)
    assert site.value("monitor_abstained_ratio", **labels) == 0
    assert site.drift.record()["abstained"]["voice"] == {"windows": RECENT, "ratio": 0.0}


async def test_a_real_call_reaches_it() -> None:
    metrics, sink, shared = Metrics(), MemorySink(), stages()
    drift = Drift(watches(judges()), metrics)
    fanout = Fanout([sink, drift, metrics])
    await Call("c", ScriptedSource(noise(0, 20, 0.03)), shared, fanout, metrics, "remote").run()
    shared.executor.close()
    record = drift.record()
    assert record["types"]["voice"]["calls"] == 1
    assert record["abstained"]["voice"] == {"windows": len(sink.outcomes), "ratio": 0.0}
