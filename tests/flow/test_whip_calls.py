"""WHIP sessions of one call and of several, on the real endpoint with participants of our own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from monitor.calls.admission import Slots
from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.ingest.webrtc.whip_offer import Offer
from monitor.ingest.webrtc.whip_source import WebRtcSource
from monitor.metrics.sink import Metrics
from monitor.types import AudioFrame, Tracks
from monitor.types.protocols import Intake
from monitor.web import problems
from monitor.web.api import whip
from monitor.web.auth import Gatekeeper, Grant, digest
from tests.fakes import MemorySink, noise, stages
from tests.fuzz.targets import OFFER

SDP = {"Content-Type": "application/sdp", "Authorization": "Bearer good"}


class Guest:
    """Speaks in real time until it hangs up, and on a busy machine catches up."""

    def __init__(self, participant: str) -> None:
        self.participant = participant
        self.gone = asyncio.Event()
        self.spoken = 0.0
        """Seconds."""
        self.heard = True

    async def speak(self, seconds: float) -> None:
        """Wait until it has spoken as long in all."""
        while self.spoken < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def answer(self) -> str:
        return "v=0"

    async def discard(self) -> None:
        self.gone.set()

    def hang_up(self, reason: str = "ended") -> None:
        self.gone.set()

    async def run(self, intake: Intake) -> str:
        await intake.put(Tracks(self.participant, audio=True, video=False))
        began = intake.now()
        while not self.gone.is_set():
            at = began + self.spoken
            await intake.put(AudioFrame(self.participant, at, noise(0, 0.1, 0.1).samples))
            self.spoken += 0.1
            await asyncio.sleep(max(0.0, began + self.spoken - intake.now()))
        return "ended"


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


@asynccontextmanager
async def served(
    parts: Stages, limit: int = 5, guests: list[Guest] | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Registry]]:
    """The endpoint; whoever comes is put into `guests`."""
    registry = Registry(parts, MemorySink(), Metrics(), Slots(limit))
    gatekeeper = Gatekeeper([Grant("phone", digest("good"), frozenset({"publish"}))])
    app = FastAPI()
    problems.install(app)

    def open_source(offer: Offer, participant: str) -> WebRtcSource:
        guest = Guest(participant)
        if guests is not None:
            guests.append(guest)
        return cast(WebRtcSource, guest)

    app.include_router(whip.router(registry, gatekeeper, open_source))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=SDP) as client:
        yield client, registry
    await registry.close()


async def publish(client: httpx.AsyncClient, **parameters: Any) -> tuple[str, str]:
    """Location and call."""
    answer = await client.post("/whip", content=OFFER, params=parameters)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"], answer.headers["x-call-id"]


async def over(registry: Registry, call: str) -> CallRecord:
    """The call, once it has ended."""
    while (found := registry.find(call)) is None or found.ended is None:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return found


async def test_sessions_with_one_label_are_participants_of_one_call(parts: Stages) -> None:
    guests: list[Guest] = []
    async with served(parts, guests=guests) as (client, registry):
        alice, call = await publish(client, call="desk", participant="alice")
        await guests[0].speak(1)
        bob, same = await publish(client, call="desk", participant="bob")
        other, another = await publish(client, call="lobby", participant="bob")
        assert same == call != another
        assert len({alice, bob, other}) == 3
        await guests[1].speak(3.5)
        assert (await client.delete(alice)).status_code == 200
        assert (await client.delete(alice)).status_code == 404
        (going,) = [c for c in registry if c.id == call]
        assert going.ended is None
        await guests[1].speak(6.5)
        assert (await client.delete(bob)).status_code == 200
        ended = await over(registry, call)
        assert ended.ended == "ended"
        seconds = {}
        for tracks, verdict in ended.participants:
            assert verdict is not None
            spent = verdict.seconds
            assert sum(spent.lost.values()) < 0.3, tracks
            seconds[tracks.participant] = spent.scored + spent.unmonitored
        # Nothing before coming and nothing after leaving is missing.
        assert seconds == pytest.approx(
            {"alice": guests[0].spoken, "bob": guests[1].spoken}, abs=0.3
        )


async def test_who_is_there_already_begins_a_call_of_its_own(parts: Stages) -> None:
    async with served(parts) as (client, _):
        _, first = await publish(client, call="desk", participant="alice")
        _, second = await publish(client, call="desk", participant="alice")
        _, third = await publish(client, participant="alice")
        _, fourth = await publish(client, participant="bob")
        assert len({first, second, third, fourth}) == 4


async def test_a_participant_who_joins_may_be_paused_and_takes_up_a_slot(parts: Stages) -> None:
    async with served(parts, limit=2) as (client, registry):
        _, call = await publish(client, call="desk", participant="alice")
        await publish(client, call="desk", participant="bob", paused="consent")
        (record,) = [c for c in registry if c.id == call]
        assert set(record.paused) == {"bob"}
        full = await client.post(
            "/whip", content=OFFER, params={"call": "desk", "participant": "c"}
        )
        assert full.status_code == 503
