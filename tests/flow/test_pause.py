"""A paused participant is not monitored, and every second of the pause says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from monitor.calls.admission import Slots
from monitor.calls.pause import PauseError, PauseReason
from monitor.calls.pipeline import Pipeline
from monitor.calls.registry import Registry
from monitor.calls.thinning import Thinning
from monitor.metrics.sink import Metrics
from monitor.service.app import Service
from monitor.settings import load
from monitor.types import AudioFrame, Gap, LostReason, Score, Span, Tracks, VideoFrame
from monitor.types.packet import EncodedPacket, Encoding
from monitor.types.protocols import Intake
from tests.fakes import MemorySink, noise, stages
from tests.flow.conftest import portrait

OPUS = Encoding("audio", "opus", 48_000, 2)


class Talker:
    """Talks in real time, and shows a face, until told to stop."""

    ingest = "whip"
    live = True

    def __init__(self, audio: bool = True, video: bool = False) -> None:
        self.audio, self.video = audio, video
        self.hung_up = asyncio.Event()

    async def run(self, intake: Intake) -> str:
        await intake.put(Tracks("remote", self.audio, self.video))
        image = portrait() if self.video else None
        step, at = 0.1, intake.now()
        while not self.hung_up.is_set():
            await asyncio.sleep(max(0.0, at + step - intake.now()))
            if self.audio:
                frame = noise(at, step, 0.3, seed=round(at * 10))
                await intake.put(AudioFrame("remote", at, frame.samples))
                if intake.encoded is not None:
                    intake.encoded(EncodedPacket("remote", OPUS, b"x", at, step, True))
            if image is not None and round(at * 10) % 2 == 0:
                await intake.put(VideoFrame("remote", at, image))
            at += step
        return "ended"


class Rig:
    def __init__(self, source: Talker) -> None:
        self.source, self.sink = source, MemorySink()
        self.packets: list[EncodedPacket] = []
        self.parts = stages()
        self.registry = Registry(
            self.parts, self.sink, Metrics(), Slots(5), lambda *_: self.packets.append
        )
        self.call = self.registry.start(source, "remote")

    @property
    def resumed(self) -> float:
        """Call seconds of the latest resumption."""
        return next(time for _, time, reason in reversed(self.sink.pauses) if reason is None)


@asynccontextmanager
async def talking(source: Talker) -> AsyncIterator[Rig]:
    rig = Rig(source)
    yield rig
    source.hung_up.set()
    async with asyncio.timeout(120):
        await rig.registry.wait(rig.call)
    await rig.registry.close()
    rig.parts.executor.close()


async def heard(rig: Rig, seconds: float) -> None:
    """Wait until this much audio was taken in."""

    def end() -> float:
        pipeline = rig.call.participants.get("remote")
        return 0.0 if pipeline is None else pipeline.heard or 0.0

    async with asyncio.timeout(120):
        while end() < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_pause_is_accounted_for_and_nothing_of_it_is_scored_or_kept() -> None:
    async with talking(Talker()) as rig:
        await heard(rig, 4.0)
        pause = rig.call.pause("remote", PauseReason.PAYMENT)
        assert rig.call.pause("remote", PauseReason.PAYMENT) == pause
        kept = len(rig.packets)
        state = rig.call.participants["remote"].verdict
        await asyncio.sleep(4.5)
        assert rig.call.record().paused == {"remote": pause}
        assert len(rig.packets) == kept
        inside = rig.sink.verdicts[-1]
        assert inside.seconds.lost[LostReason.PAUSED] > 2.5
        assert state is not None
        assert inside.state is state.state
        rig.call.resume("remote")
        rig.call.resume("remote")
        after = rig.resumed
        await heard(rig, after + 4.0)
    last = rig.sink.verdicts[-1].seconds
    assert last.lost[LostReason.PAUSED] == pytest.approx(after - pause.since, abs=0.35)
    assert sum(v for r, v in last.lost.items() if r != LostReason.PAUSED) < 0.3
    assert last.scored + last.unmonitored == pytest.approx(rig.sink.verdicts[-1].time, abs=0.2)
    scored = [o for o in rig.sink.outcomes if isinstance(o, Score)]
    assert scored[-1].span.start >= after - 0.5
    assert not [s for s in scored if pause.since + 0.5 < s.span.end < after + 0.5]
    assert [(who, why) for who, _, why in rig.sink.pauses] == [
        ("remote", "payment"),
        ("remote", None),
    ]
    assert len(rig.packets) > kept
    assert not [p for p in rig.packets if pause.since < p.time < after - 0.3]


class Ears:
    """What the cues are given to hear."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []

    def hear(self, sound: AudioFrame) -> None:
        self.frames.append(sound)


async def test_sound_of_a_pause_is_not_heard_although_its_block_ends_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts, ears = stages(), Ears()
    pipeline = Pipeline("call", "remote", parts, MemorySink(), Thinning())
    monkeypatch.setattr(pipeline, "_cues", ears)
    reason = LostReason.NETWORK
    await pipeline.hear(noise(0.0, 1.0, 0.3), reason)
    await pipeline.hear(Gap("remote", Span(1.0, 2.1), LostReason.PAUSED), reason)
    for start in (1.75, 2.0, 2.25):
        await pipeline.hear(noise(start, 0.25, 0.3), reason)
    assert [len(frame.samples) for frame in ears.frames] == [16_000, 0, 2_400, 4_000]
    assert [frame.start for frame in ears.frames[2:]] == [2.1, 2.25]
    assert pipeline.heard == pytest.approx(2.5)
    parts.executor.close()


async def test_a_pause_of_pictures_is_accounted_for_too() -> None:
    async with talking(Talker(audio=False, video=True)) as rig:
        async with asyncio.timeout(120):
            while not rig.sink.outcomes:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        pause = rig.call.pause("remote", PauseReason.CONSENT)
        await asyncio.sleep(5.0)
        rig.call.resume("remote")
        await asyncio.sleep(2.0)
    last = rig.sink.verdicts[-1].seconds
    assert last.lost[LostReason.PAUSED] == pytest.approx(rig.resumed - pause.since, abs=0.5)
    assert last.lost.get(LostReason.IDLE, 0.0) < 0.5
    assert pause.reason is PauseReason.CONSENT


async def test_a_call_that_ends_during_a_pause_books_it_whole() -> None:
    async with talking(Talker()) as rig:
        await heard(rig, 3.0)
        pause = rig.call.pause("remote", PauseReason.CONSENT)
        await asyncio.sleep(2.0)
        assert rig.call.pause("remote", PauseReason.PRIVACY).since == pause.since
        until = rig.sink.pauses[-1][1]
    paused = rig.sink.verdicts[-1].seconds.lost[LostReason.PAUSED]
    assert paused == pytest.approx(until - pause.since, abs=0.6)
    with pytest.raises(PauseError, match="over"):
        rig.registry.pause(rig.call.id, "remote", PauseReason.CONSENT)


async def test_monitoring_may_begin_paused() -> None:
    async with talking(Talker()) as rig:
        rig.call.pause("remote", PauseReason.CONSENT)
        await asyncio.sleep(2.0)
        assert rig.packets == []
        assert not [o for o in rig.sink.outcomes if isinstance(o, Score)]
        rig.call.resume("remote")
        await heard(rig, rig.resumed + 3.5)
    last = rig.sink.verdicts[-1].seconds
    assert last.lost[LostReason.PAUSED] == pytest.approx(rig.resumed, abs=0.4)
    assert last.scored > 0


async def test_what_the_far_end_says_of_its_own_pause_still_counts() -> None:
    class Held(Talker):
        async def run(self, intake: Intake) -> str:
            await intake.put(Tracks("remote", True, False))
            await intake.put(noise(0.0, 2.0, 0.3))
            await asyncio.sleep(0.1)
            await intake.put(Gap("remote", Span(2.0, 9.0), LostReason.PAUSED))
            await self.hung_up.wait()
            return "ended"

    async with talking(Held()) as rig:
        await asyncio.sleep(0.05)
        rig.call.pause("remote", PauseReason.PAYMENT)
        await heard(rig, 9.0)
    assert rig.sink.verdicts[-1].seconds.lost[LostReason.PAUSED] == pytest.approx(7.0, abs=0.1)


async def test_over_the_interface(tmp_path: object) -> None:
    service = Service(load(None, state_dir=tmp_path, token="t"))
    transport = httpx.ASGITransport(service.app)
    headers = {"Authorization": "Bearer t"}
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://m", headers=headers) as client,
    ):
        source = Talker()
        call = service.registry.start(source, "remote")
        async with asyncio.timeout(120):
            while not call.participants:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        at = f"/api/v1/calls/{call.id}/participants"
        events = aiter(service._events.subscribe(call.id))
        assert "connected" in await anext(events)
        listening = asyncio.ensure_future(anext(events))
        for _ in range(2):
            answer = await client.post(f"{at}/remote/pause", json={"reason": "payment"})
            assert answer.status_code == 200
            assert answer.json()["paused"]["reason"] == "payment"
        async with asyncio.timeout(120):
            assert '"reason":"payment"' in await listening
        shown = (await client.get(f"/api/v1/calls/{call.id}")).json()["participants"][0]
        assert shown["paused"]["reason"] == "payment"
        for _ in range(2):
            answer = await client.post(f"{at}/remote/resume")
            assert answer.json() == {"participant": "remote", "paused": None}
        shown = (await client.get(f"/api/v1/calls/{call.id}")).json()["participants"][0]
        assert shown["paused"] is None
        assert (await client.post(f"{at}/nobody/resume")).status_code == 404
        wrong = await client.post(f"{at}/remote/pause", json={"reason": "whim"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "reason")
        metrics = (await client.get("/metrics")).text
        assert 'monitor_pauses_total{reason="payment"} 1.0' in metrics
        source.hung_up.set()
        async with asyncio.timeout(120):
            await service.registry.wait(call)
        over = await client.post(f"{at}/remote/pause", json={"reason": "consent"})
        assert over.status_code == 409
