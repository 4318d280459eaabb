"""One call from source to alerts, with a fake detector around the real path."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from monitor.calls.admission import CapacityError, Slots
from monitor.calls.call import Call
from monitor.calls.registry import Registry
from monitor.delivery.fanout import Fanout
from monitor.metrics.sink import Metrics
from monitor.types import (
    Abstention,
    AbstentionReason,
    AlarmState,
    AlertAction,
    AudioWindow,
    Gap,
    LostReason,
    Reading,
    Score,
    Span,
    Tracks,
    VideoFrame,
)
from monitor.types.protocols import Intake, Media, Source, SourceError
from tests.fakes import BrokenDetector, LevelDetector, MemorySink, ScriptedSource, noise, stages
from tests.flow.conftest import portrait

QUIET, LOUD = 0.03, 0.3


async def run(
    source: Source, detector: LevelDetector | None = None
) -> tuple[MemorySink, Metrics, Call]:
    sink, metrics = MemorySink(), Metrics()
    shared = stages(detector)
    call = Call("c", source, shared, Fanout([sink, metrics]), metrics, "remote")
    await call.run()
    shared.executor.close()
    return sink, metrics, call


class Hum:
    """Another package's detector of sound: the second window breaks it, the third is no number."""

    name = "hum"
    model = "0123456789ab"

    def measure(self, window: AudioWindow) -> Reading:
        match window.span.end:
            case 4.0:
                raise RuntimeError("broken on purpose")
            case 5.0:
                return Reading(math.nan)
        return Reading(9.0, details={"hum_db": 1.0})


async def test_a_detector_of_another_package_is_shown_and_never_decides() -> None:
    sink, metrics = MemorySink(), Metrics()
    plain = stages()
    shared = replace(plain, judges=replace(plain.judges, listeners=(Hum(),)))
    source = ScriptedSource(noise(0, 20, QUIET))
    call = Call("c", source, shared, Fanout([sink, metrics]), metrics, "remote")
    await call.run()
    shared.executor.close()
    heard = [o for o in sink.outcomes if o.detector == "hum"]
    voice = [o for o in sink.outcomes if o.detector == "voice"]
    assert [o.fresh for o in heard] == [o.fresh for o in voice]
    assert [o.reason for o in heard if isinstance(o, Abstention)] == [AbstentionReason.FAULT] * 2
    scores = [o for o in heard if isinstance(o, Score)]
    assert {(s.value, s.llr, s.details["hum_db"]) for s in scores} == {(9.0, 0.0, 1.0)}
    assert len(scores) == len(voice) - 2
    assert sink.alerts == []
    assert sink.verdicts[-1].state is AlarmState.NORMAL
    assert shared.judges.models["hum"] == Hum.model


async def test_a_fake_voice_raises_both_tiers_once() -> None:
    sink, metrics, _ = await run(ScriptedSource(noise(0, 20, LOUD)))
    raised = [(a.tier, a.sequence) for a in sink.alerts if a.action is AlertAction.RAISED]
    assert raised == [(AlarmState.REVIEW, 1), (AlarmState.ALERT, 1)]
    # still raised when the call ends: a last message with the final numbers
    assert [a.tier for a in sink.alerts if a.action is AlertAction.UPDATED] == [
        AlarmState.REVIEW,
        AlarmState.ALERT,
    ]
    first = sink.alerts[0]
    assert first.verdict.time <= 8
    assert first.evidence
    assert first.raised_at == "2026-01-01T00:00:00.000+00:00"
    assert not first.certified
    assert sink.alerts[1].certified
    value = metrics.registry.get_sample_value
    assert value("monitor_seconds_total", {"detector": "voice", "outcome": "scored", "reason": ""})
    assert value("monitor_calls", {"ingest": "file", "state": "alert"}) == 0
    assert value("monitor_calls_ended_total", {"ingest": "file", "reason": "ended"}) == 1


async def test_a_human_voice_raises_nothing() -> None:
    sink, _, _ = await run(ScriptedSource(noise(0, 60, QUIET)))
    assert sink.alerts == []
    assert sink.verdicts[-1].state is AlarmState.NORMAL
    assert all(isinstance(o, Score) for o in sink.outcomes)


async def test_a_fake_in_the_middle_is_found_and_its_onset_is_near() -> None:
    media = [noise(0, 60, QUIET), noise(60, 20, LOUD), noise(80, 90, QUIET)]
    sink, _, _ = await run(ScriptedSource(*media))
    alert = next(a for a in sink.alerts if a.tier is AlarmState.ALERT)
    assert 60 < alert.verdict.time < 75
    assert alert.span.start == pytest.approx(60, abs=6)
    assert sink.alerts[-1].action is AlertAction.CLEARED
    assert sink.verdicts[-1].state is AlarmState.NORMAL


async def test_every_second_is_scored_abstained_or_lost() -> None:
    media: list[Media] = [
        noise(0, 10, QUIET),
        noise(10, 5, 0.0),
        noise(18, 7, QUIET),
        Gap("remote", Span(25, 40), LostReason.RECONNECT),
        noise(40, 5.5, QUIET),
    ]
    sink, _, _ = await run(ScriptedSource(*media))
    seconds = sink.verdicts[-1].seconds
    assert seconds.lost == pytest.approx({"network": 3.0, "reconnect": 15.0})
    assert set(seconds.abstained) == {"silence", "gap"}
    total = seconds.scored + sum(seconds.abstained.values()) + sum(seconds.lost.values())
    assert total == pytest.approx(45.5, abs=0.01)


async def test_a_broken_detector_is_an_abstention_not_an_end() -> None:
    sink, _, call = await run(ScriptedSource(noise(0, 6, QUIET)), BrokenDetector())
    assert call.ended == "ended"
    assert {o.reason for o in sink.outcomes if isinstance(o, Abstention)} == {
        AbstentionReason.FAULT
    }


async def test_a_broken_sink_disturbs_nobody() -> None:
    class Broken(MemorySink):
        def window(self, call: str, outcome: object) -> None:
            raise RuntimeError("broken on purpose")

    sink, metrics, shared = MemorySink(), Metrics(), stages()
    source = ScriptedSource(noise(0, 6, QUIET))
    await Call("c", source, shared, Fanout([Broken(), sink, metrics]), metrics, "remote").run()
    assert len(sink.outcomes) == 4
    shared.executor.close()


async def test_a_source_without_audio_is_named() -> None:
    sink, _, call = await run(ScriptedSource(Tracks("remote", audio=False, video=True)))
    assert call.participants["remote"].tracks.audio is False
    (verdict,) = sink.verdicts
    assert (verdict.state, verdict.llr, verdict.p_value) == (AlarmState.WARMING, None, None)


async def test_a_source_that_fails_ends_its_call_with_the_cause() -> None:
    class Failing(ScriptedSource):
        async def run(self, intake: Intake) -> str:
            raise SourceError("unauthorized", "rtsp://camera/: user name or password refused")

    sink, _, call = await run(Failing())
    assert (call.ended, call.detail[:14]) == ("unauthorized", "rtsp://camera/")
    assert sink.ended == ["unauthorized"]


class Endless(ScriptedSource):
    """Live, sends two seconds, then says nothing until stopped."""

    def __init__(self, *, live: bool = True) -> None:
        super().__init__(noise(0, 3.5, QUIET), live=live)

    async def run(self, intake: Intake) -> str:
        intake.now()
        await super().run(intake)
        await asyncio.Event().wait()
        return "never"


async def test_a_stopped_call_still_gives_its_last_verdict() -> None:
    sink, metrics, shared = MemorySink(), Metrics(), stages()
    registry = Registry(shared, Fanout([sink, metrics]), metrics, Slots(1))
    call = registry.start(Endless(), "remote")
    assert metrics.registry.get_sample_value("monitor_call_slots_free") == 0
    with pytest.raises(CapacityError):
        registry.start(Endless(), "remote")
    await asyncio.wait_for(call.media_seen.wait(), 5)
    assert await registry.stop(call.id)
    assert call.ended == "stopped"
    assert sink.verdicts[-1].time == pytest.approx(3.5, abs=0.01)
    assert metrics.registry.get_sample_value("monitor_call_slots_free") == 1
    record = registry.find(call.id)
    assert record is not None
    assert (record.ended, record.participants[0][1]) == ("stopped", sink.verdicts[-1])
    assert not await registry.stop(call.id)
    shared.executor.close()


async def test_silence_on_the_network_is_booked_while_it_lasts() -> None:
    sink, metrics, shared = MemorySink(), Metrics(), stages()
    registry = Registry(shared, Fanout([sink, metrics]), metrics, Slots(1))
    call = registry.start(Endless(), "remote")
    async with asyncio.timeout(120):
        # A sink has nothing to wait on.
        while not any("idle" in v.seconds.lost for v in sink.verdicts):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert call.ended is None
    await registry.close()
    shared.executor.close()


async def test_live_media_that_cannot_be_judged_in_time_is_dropped_and_counted() -> None:
    class Slow(LevelDetector):
        def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
            time.sleep(0.3)
            return super().judge(windows)

    class Rushed(ScriptedSource):
        async def run(self, intake: Intake) -> str:
            for media in self._media:
                await intake.put(media)
                await asyncio.sleep(0)
            return "ended"

    frames = [noise(i * 0.02, 0.02, QUIET, seed=i) for i in range(1500)]
    sink, metrics, _ = await run(Rushed(*frames, live=True), Slow())
    dropped = metrics.registry.get_sample_value("monitor_dropped_total", {"stage": "audio"})
    assert dropped is not None
    assert dropped > 1000
    seconds = sink.verdicts[-1].seconds
    assert seconds.lost["overload"] == pytest.approx(dropped * 0.02, abs=0.05)


async def test_replayed_media_waits_instead() -> None:
    frames = [noise(i * 0.02, 0.02, QUIET, seed=i) for i in range(1500)]
    sink, _, _ = await run(ScriptedSource(*frames))
    assert sink.verdicts[-1].seconds.lost == {}
    assert sink.verdicts[-1].seconds.scored == pytest.approx(30, abs=0.01)


async def test_a_face_comes_and_goes_and_absent_video_is_lost_not_faceless() -> None:
    face, grey = portrait(), np.full((480, 640, 3), 128, np.uint8)
    media: list[Media] = [Tracks("remote", audio=False, video=True)]
    media += [VideoFrame("remote", t / 5, face) for t in range(25)]
    media += [VideoFrame("remote", 5 + t / 5, grey) for t in range(25)]
    media += [VideoFrame("remote", 40 + t / 5, face) for t in range(25)]
    sink, metrics, _ = await run(ScriptedSource(*media))
    assert [found for _, found in sink.faces] == [True, False, True]
    assert sink.faces[1][0] == pytest.approx(5, abs=1.3)
    reasons = {o.reason for o in sink.outcomes if isinstance(o, Abstention)}
    assert reasons == {
        AbstentionReason.NO_MODEL, AbstentionReason.NO_FACE, AbstentionReason.GAP
    }  # fmt: skip
    seconds = sink.verdicts[-1].seconds
    assert seconds.lost["idle"] == pytest.approx(27, abs=4)
    assert seconds.unmonitored == pytest.approx(45, abs=0.5)
    value = metrics.registry.get_sample_value
    assert value("monitor_faces_total", {"event": "found"}) == 2
