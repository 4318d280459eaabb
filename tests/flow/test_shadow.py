"""A challenger judges the same windows: who disagrees is counted, listed and never delivered."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from monitor.calls.call import Call
from monitor.calls.stages import Judges
from monitor.decision.certificate import POOLED
from monitor.decision.policy import Policy
from monitor.delivery.fanout import Fanout
from monitor.delivery.shadow import REMEMBERED, Disagreements, differ
from monitor.detectors.face import FaceDetector
from monitor.metrics.sink import Metrics
from monitor.service.app import Service
from monitor.service.judges import build_stages, load_judges
from monitor.settings import load
from monitor.types import (
    AbstentionReason,
    AlarmState,
    AlertType,
    AudioWindow,
    Seconds,
    Verdict,
)
from monitor.web.api import shadow
from monitor.web.auth import Gatekeeper, Grant, digest
from tests.fakes import POLICY, LevelDetector, MemorySink, ScriptedSource, noise, stages
from tests.models import CERTIFIED, write_models

QUIET, LOUD = 0.03, 0.3
READ = {"Authorization": "Bearer secret"}


class Counting(LevelDetector):
    """Counts the windows it judges."""

    judged = 0

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        self.judged += len(windows)
        return super().judge(windows)


class Deaf(Counting):
    """A challenger of another model that calls everything human."""

    model = "deafdeafdeaf"

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        super().judge(windows)
        return [-4.0 for _ in windows]


def deaf_policy() -> Policy:
    """No statistic is high enough."""
    tiers = {n: replace(t, thresholds={POOLED: 99.0}) for n, t in POLICY.certificate.tiers.items()}
    return replace(POLICY, certificate=replace(POLICY.certificate, tiers=tiers, identity="other"))


def judges(detector: LevelDetector, policy: Policy = POLICY) -> Judges:
    return Judges(detector, FaceDetector(), {AlertType.VOICE: policy})


async def run(
    champion: LevelDetector, challenger: Judges, level: float
) -> tuple[Disagreements, MemorySink, Metrics]:
    found, sink, metrics = Disagreements(), MemorySink(), Metrics()
    shared = stages(champion, challenger=challenger)
    source = ScriptedSource(noise(0, 20, level))
    await Call("c", source, shared, Fanout([found, sink, metrics]), metrics, "remote").run()
    shared.executor.close()
    return found, sink, metrics


async def test_a_challenger_that_misses_a_fake_is_listed() -> None:
    found, sink, metrics = await run(Counting(), judges(Deaf()), LOUD)
    (disagreement,) = found.latest(10)
    assert (disagreement.call, disagreement.ended) == ("c", True)
    first, latest = disagreement.first, disagreement.latest
    assert (first.champion.state, first.challenger.state) == ("alert", "normal")
    assert first.champion.time == first.challenger.time <= 8
    assert latest.champion.time == pytest.approx(20, abs=1)
    assert first.champion.statistic > first.challenger.statistic
    assert first.champion.p_value is not None
    assert first.challenger.p_value is not None
    assert first.champion.p_value < first.challenger.p_value
    assert found.totals.calls == {(AlarmState.ALERT, AlarmState.NORMAL): 1}
    assert found.totals.windows.total() == len(sink.outcomes)
    # The champion's alerts are the only ones.
    assert {a.calibration for a in sink.alerts} == {POLICY.identity}
    labels = {"state": "alert", "challenger_state": "normal"}
    value = metrics.registry.get_sample_value("monitor_challenger_windows_total", labels)
    assert value == disagreement.windows


async def test_a_challenger_that_alone_alarms_is_listed_and_not_delivered() -> None:
    found, sink, _ = await run(Deaf(), judges(Counting()), LOUD)
    (disagreement,) = found.latest(10)
    assert disagreement.first.challenger.state is AlarmState.ALERT
    assert sink.alerts == []


async def test_agreement_is_counted_only() -> None:
    found, sink, _ = await run(Counting(), judges(Deaf()), QUIET)
    assert list(found.latest(10)) == []
    assert found.totals.calls == {(AlarmState.NORMAL, AlarmState.NORMAL): 1}
    assert found.totals.windows.total() == len(sink.outcomes)


async def test_another_policy_for_the_same_model_does_not_run_it_twice() -> None:
    detector = Counting()
    found, sink, _ = await run(detector, judges(detector, deaf_policy()), LOUD)
    assert detector.judged == len(sink.outcomes)
    (disagreement,) = found.latest(10)
    assert disagreement.first.challenger.state is AlarmState.NORMAL
    # The same scores: only the thresholds differ.
    assert disagreement.first.champion.statistic == disagreement.first.challenger.statistic


async def test_another_model_is_run_once_for_each_window() -> None:
    champion, challenger = Counting(), Deaf()
    _, sink, _ = await run(champion, judges(challenger), LOUD)
    assert champion.judged == challenger.judged == len(sink.outcomes)


def test_a_folder_with_the_same_model_file_shares_the_loaded_model(tmp_path: Path) -> None:
    stricter = [replace(t, thresholds={POOLED: 9.0}) for t in CERTIFIED]
    one = write_models(tmp_path / "one")
    same = write_models(tmp_path / "same", stricter)
    other = write_models(tmp_path / "other", gain=50.0)
    champion = load_judges(one)
    assert load_judges(same, champion).voice is champion.voice
    assert load_judges(other, champion).voice is not champion.voice
    built = build_stages(load(None, models_dir=one, challenger_dir=same), Metrics())
    assert built.challenger is not None
    assert built.challenger.voice is built.judges.voice
    ours, theirs = (j.policies[AlertType.VOICE] for j in (built.judges, built.challenger))
    assert ours.identity != theirs.identity
    built.executor.close()


def test_waiting_is_waiting() -> None:
    assert not differ(AlarmState.WARMING, AlarmState.NORMAL)
    assert not differ(AlarmState.REVIEW, AlarmState.REVIEW)
    assert differ(AlarmState.WARMING, AlarmState.REVIEW)
    assert differ(AlarmState.ALERT, AlarmState.REVIEW)


def verdict(state: AlarmState, participant: str = "remote") -> Verdict:
    seconds = Seconds(10.0, {}, {})
    return Verdict(participant, 10.0, state, AlertType.VOICE, 1.0, 1.0, 0.5, None, seconds)


def test_only_the_latest_are_kept_and_each_participant_counts() -> None:
    found = Disagreements()
    for i in range(REMEMBERED + 10):
        for participant in ("a", "b"):
            ours = verdict(AlarmState.ALERT, participant)
            found.compared(str(i), ours, verdict(AlarmState.NORMAL, participant))
        found.call_ended(str(i), "ended")
    kept = list(found.latest(2 * REMEMBERED))
    assert len(kept) == REMEMBERED
    assert kept[0].call == str(REMEMBERED + 9)
    assert found.totals.calls.total() == 2 * (REMEMBERED + 10)


def test_a_call_nobody_compared_ends_quietly() -> None:
    found = Disagreements()
    found.call_ended("never heard of", "ended")
    assert found.totals.calls.total() == 0


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    found, _, _ = await run(Counting(), judges(Deaf()), LOUD)
    gatekeeper = Gatekeeper([Grant("reader", digest("secret"), frozenset({"read"}))])
    app = FastAPI()
    app.include_router(shadow.router(gatekeeper, found, judges(Counting()), judges(Deaf())))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as made:
        yield made


async def test_it_is_served(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/shadow", headers=READ)).json()
    assert answer["champion"]["models"]["voice"] == "fakefakefake"
    assert answer["challenger"]["models"]["voice"] == "deafdeafdeaf"
    assert answer["calls"] == {
        "compared": 1,
        "disagreed": 1,
        "by_state": [{"champion": "alert", "challenger": "normal", "count": 1}],
    }
    assert answer["windows"]["compared"] > answer["windows"]["disagreed"] > 0
    (found,) = answer["disagreements"]
    assert found["windows"] == answer["windows"]["disagreed"]
    assert found["first"]["champion"].keys() == {"state", "statistic", "llr", "p_value"}
    assert found["first"]["time"] < found["latest"]["time"]


async def test_without_a_challenger_the_service_says_so(tmp_path: Path) -> None:
    tokens = [{"name": "t", "sha256": digest("secret"), "scopes": ["read"]}]
    models = write_models(tmp_path / "models")
    service = Service(
        load(None, state_dir=tmp_path / "var", models_dir=models, server={"tokens": tokens})
    )
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app), base_url="http://monitor"
        ) as made,
    ):
        answer = (await made.get("/api/v1/shadow", headers=READ)).json()
        assert answer["challenger"] is None
        assert answer["calls"] == {"compared": 0, "disagreed": 0, "by_state": []}
        drift = (await made.get("/api/v1/drift", headers=READ)).json()
        assert drift["types"]["voice"]["calls"] == 0
        assert drift["abstained"] == {}
