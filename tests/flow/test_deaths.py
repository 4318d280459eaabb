"""Every part of a call and every worker killed once: heard of, ended or begun again, accounted."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCPeerConnection
from websockets.exceptions import ConnectionClosed

from monitor.calls.admission import Slots
from monitor.calls.call import Call
from monitor.calls.governor import Governor
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.cluster.node import NodeLeases
from monitor.decision.participant import ParticipantDecision
from monitor.delivery.courier import Courier
from monitor.delivery.outbox import Outbox
from monitor.ingest.connection.room import Room
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.video_receiver import VideoReceiver
from monitor.ingest.telephony.stream_source import TelephonySource
from monitor.ingest.webrtc.whip_source import WebRtcSource
from monitor.metrics.sink import Metrics
from monitor.runtime.tasks import MOST_DEATHS
from monitor.service.app import Service
from monitor.settings import load
from monitor.sip.presence import Presence
from monitor.store.recorder import Recorder
from monitor.types import LostReason, Tracks
from monitor.types.protocols import Intake
from tests.alerts import alert
from tests.fakes import MemorySink, noise, stages
from tests.flow import sip, test_telephony
from tests.flow.webrtc import Camera, MemoryIntake, Speech, loopback_only, publish
from tests.unit.cluster.test_node_leases import LEASE, FakeHost

__all__ = ["loopback_only"]

pytestmark = pytest.mark.timeout(90)


def deaths(task: str) -> float:
    found = Metrics().registry.get_sample_value("monitor_task_failures_total", {"task": task})
    return found or 0.0


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Once:
    """Stands before a method and fails the first time that it is called, or always."""

    def __init__(self, real: Callable[..., Any], always: bool = False) -> None:
        self.real, self.always = real, always
        self.calls = 0

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.always or self.calls == 1:
                raise ValueError("on purpose")
            return self.real(instance, *given, **named)

        return call


def kill(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, always: bool = False) -> Once:
    once = Once(getattr(owner, method), always)
    monkeypatch.setattr(owner, method, once)
    return once


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


class Dying:
    """Is heard for six seconds, and dies."""

    ingest, live = "whip", True

    async def run(self, intake: Intake) -> str:
        intake.now()
        await intake.put(Tracks("remote", audio=True, video=False))
        await intake.put(noise(0, 6, 0.03))
        raise ValueError("on purpose")


def accounted(call: Call) -> tuple[float, dict[str, float]]:
    """Scored seconds, and lost ones by reason."""
    verdict = call.participants["remote"].verdict
    assert verdict is not None
    seconds = verdict.seconds
    return seconds.scored + sum(seconds.abstained.values()), dict(seconds.lost)


async def one_call(parts: Stages, source: Any) -> Call:
    registry = Registry(parts, MemorySink(), Metrics(), Slots(1))
    call = registry.start(source, "remote")
    await registry.wait(call)
    assert call.ended == "fault"
    assert call.detail == "internal error"
    await until(lambda: not registry.active)
    return call


async def test_a_call_whose_source_dies_ends_as_fault_and_what_came_is_judged(
    parts: Stages,
) -> None:
    before = deaths("source")
    call = await one_call(parts, Dying())
    heard, lost = accounted(call)
    assert heard == pytest.approx(6, abs=0.1)
    assert lost == {}
    assert deaths("source") == before + 1


class Going(Dying):
    """Goes on being heard."""

    async def run(self, intake: Intake) -> str:
        began = time.monotonic()
        intake.now()
        for second in range(60):
            await intake.put(noise(second, 1, 0.03))
            await asyncio.sleep(began + second + 1 - time.monotonic())
        return "ended"


@pytest.mark.parametrize("method", ["update", "finish"])
async def test_a_call_whose_judgement_dies_ends_as_fault_with_its_seconds(
    parts: Stages, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    kill(monkeypatch, ParticipantDecision, method)
    before = deaths("call")
    call = await one_call(parts, Going() if method == "update" else Quick())
    heard, lost = accounted(call)
    assert deaths("call") == before + 1
    if method == "update":
        # The window at which it died, what waited, and the time up to the end.
        assert set(lost) <= {LostReason.FAULT}
        verdict = call.participants["remote"].verdict
        assert verdict is not None
        assert heard + sum(lost.values()) == pytest.approx(verdict.time, abs=1.1)


class Quick(Dying):
    """Ends by itself."""

    async def run(self, intake: Intake) -> str:
        intake.now()
        await intake.put(noise(0, 6, 0.03))
        return "ended"


@pytest.mark.usefixtures("loopback_only")
@pytest.mark.parametrize(
    ("owner", "method", "task"),
    [
        (AudioReceiver, "push", "hearing"),
        (VideoReceiver, "decode", "decoding"),
        (VideoReceiver, "wants_key_frame", "sight"),
    ],
)
async def test_a_webrtc_call_whose_part_dies_ends(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, task: str
) -> None:
    kill(monkeypatch, owner, method)
    before = deaths(task)

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        await until(lambda: source.receiver._ended.is_set())

    with pytest.raises(RuntimeError, match="part of the receiver died"):
        await publish([Speech(), Camera()], MemoryIntake(), during)
    assert deaths(task) == before + 1


class Guest:
    """Stays until told to leave."""

    def __init__(self, dies: bool) -> None:
        self.leaving, self.dies = asyncio.Event(), dies

    async def run(self, intake: Intake) -> str:
        await self.leaving.wait()
        if self.dies:
            raise ValueError("on purpose")
        return "ended"


async def test_one_participant_that_dies_takes_nobody_with_it() -> None:
    alice, bob = Guest(dies=True), Guest(dies=False)
    room = Room("whip", "alice", alice)
    room.join("bob", bob)
    before = deaths("participant")
    running = asyncio.create_task(room.run(MemoryIntake()))
    await asyncio.sleep(0)
    alice.leaving.set()
    await until(lambda: len(room) == 1)
    assert (running.done(), room.holds(bob)) == (False, True)
    assert deaths("participant") == before + 1
    bob.leaving.set()
    assert await running == "ended"


async def test_a_telephone_stream_whose_part_dies_is_told_and_ends_as_fault(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = deaths("telephony")
    async with test_telephony.rig(parts) as found:
        token = {"Authorization": "Bearer good"}
        async with found.dial("/telephony/twilio", **token) as socket:
            await socket.send(json.dumps({"event": "connected", "protocol": "Call"}))
            await socket.send(test_telephony.start())
            kill(monkeypatch, TelephonySource, "feed")
            await socket.send(test_telephony.media(0))
            with pytest.raises(ConnectionClosed) as caught:
                async with asyncio.timeout(30):
                    await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1011
        assert (await found.over()).ended == "fault"
    assert deaths("telephony") == before + 1


async def test_a_recording_session_that_nobody_looks_after_ends(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = deaths("sip_session")

    async def dies(self: Presence, recording: object) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr(Presence, "_ask", dies)
    async with sip.rig(parts) as found:
        client = await found.dial()
        await client.open()
        assert (await found.over()).ended == "fault"
    assert deaths("sip_session") == before + 1


async def test_a_node_without_its_fence_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(self: NodeLeases) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr(NodeLeases, "guard", dies)
    tenancy = NodeLeases(FakeHost(), lambda report: asyncio.sleep(0), LEASE, time.monotonic)
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(30):
            await tenancy.run()


def service(folder: Path) -> Service:
    return Service(load(None, state_dir=folder, evidence={"record": [{}]}))


@pytest.mark.parametrize(
    ("owner", "method", "task"),
    [
        (Outbox, "_commit", "outbox"),
        (Recorder, "flush", "calls"),
        (Governor, "update", "governor"),
    ],
)
async def test_a_worker_of_the_service_that_dies_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, task: str
) -> None:
    found = service(tmp_path)
    once = kill(monkeypatch, owner, method)
    before = deaths(task)
    async with found.app.router.lifespan_context(found.app):
        found.alerting.recorder.call_started("c", "rtsp", "remote")
        found.alerting.outbox.alert(alert(1))
        await until(lambda: once.calls > 1)
        assert deaths(task) == before + 1
        transport = httpx.ASGITransport(found.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "dead": []})
    again = service(tmp_path)
    async with again.app.router.lifespan_context(again.app):
        assert len(await again.alerting.store.alerts.latest(10)) == 1
        assert await again.alerting.store.calls.find("c") is not None


async def test_a_service_says_which_worker_cannot_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.runtime.tasks._AGAIN_LIMIT", 0.01)
    once = kill(monkeypatch, Governor, "update", always=True)
    found = service(tmp_path)
    async with found.app.router.lifespan_context(found.app):
        await until(lambda: once.calls > MOST_DEATHS)
        transport = httpx.ASGITransport(found.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "failing", "dead": ["governor"]})


async def test_a_courier_that_dies_delivers_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = {"url": "http://127.0.0.1:9/", "secret": "whsec_YWxlcnRpbmcgdGVzdCBzZWNyZXQ="}
    found = Service(load(None, state_dir=tmp_path, webhooks=[hook]))
    once, tried = kill(monkeypatch, Courier, "_begin"), kill(monkeypatch, Courier, "_attempt")
    before = deaths("courier"), deaths("delivery")
    async with found.app.router.lifespan_context(found.app):
        await until(lambda: once.calls > 1)
        found.alerting.outbox.alert(alert(1))
        await until(lambda: tried.calls > 1)
    assert (deaths("courier"), deaths("delivery")) == (before[0] + 1, before[1] + 1)
