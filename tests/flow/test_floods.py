"""One greedy sender beside honest ones: nobody else waits, is refused, or loses a second."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from monitor.calls.admission import CapacityError, Slots
from monitor.calls.pause import PauseReason
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.metrics.sink import Metrics
from monitor.web.streams.audiosocket_port import AudioSocketServer
from monitor.web.streams.telephony_call import StreamOptions, Streams
from tests.fakes import MemorySink, stages
from tests.flow import sip, test_pause, test_telephony, test_whip_calls
from tests.fuzz.targets import OFFER

pytestmark = pytest.mark.timeout(100)


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


ENDS = {"flood", "malformed"}
"""Sound that comes too fast has another rate than was agreed on, too: whichever is seen first."""


async def test_sound_as_fast_as_a_socket_takes_it_ends_that_stream_alone(parts: Stages) -> None:
    path = "/telephony/freeswitch?token=good&rate=8000&call="
    async with (
        test_telephony.rig(parts) as found,
        found.dial(f"{path}honest") as honest,
        found.dial(f"{path}flood") as flood,
    ):
        gone = asyncio.Event()

        async def pour() -> ConnectionClosed:
            try:
                while True:
                    # A tenth of a second: a loaded machine need not take thousands.
                    await flood.send(bytes(1600))
                    await asyncio.sleep(0)
            except ConnectionClosed as closed:
                gone.set()
                return closed

        pouring = asyncio.create_task(pour())
        voice = test_telephony.voice(1).tobytes()
        began, sent = time.monotonic(), 0
        while not gone.is_set() or sent < 250:
            at = sent * 320 % len(voice)
            await honest.send(voice[at : at + 320])
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / 50 - time.monotonic()))
        closed = await pouring
        assert closed.rcvd is not None
        assert closed.rcvd.code in (1003, 1008)
        assert closed.rcvd.reason.startswith(("media: faster than anybody speaks", "rate: "))
        await honest.close()
        await found.over()
        calls = {call.label: call for call in found.registry}
    assert calls["flood"].ended in ENDS
    verdict = calls["honest"].participants[0][1]
    assert verdict is not None
    assert sum(verdict.seconds.lost.values()) < 1


async def test_an_audiosocket_is_paced_too(parts: Stages) -> None:
    registry = Registry(parts, MemorySink(), Metrics(), Slots(5))
    streams = Streams(registry, StreamOptions(frozenset({"remote"})))
    server = AudioSocketServer(streams, "127.0.0.1", 0, ["127.0.0.0/8"])
    port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x01\x00\x10" + bytes(16))
    message = b"\x10\x01\x40" + bytes(320)

    async def pour() -> None:
        while True:
            writer.write(message)
            await writer.drain()
            await asyncio.sleep(0)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(pour(), 90)
    while registry.active:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert {call.ended for call in registry} <= ENDS
    writer.close()
    await server.close()


async def test_offers_that_come_together_do_not_pass_the_limit(parts: Stages) -> None:
    async with test_whip_calls.served(parts, limit=5) as (client, registry):
        sent = [client.post("/whip", content=OFFER, params={"participant": f"p{n}",
                "call": "desk" if n % 2 else ""}) for n in range(40)]  # fmt: skip
        answers = await asyncio.gather(*sent)
        assert sorted(answer.status_code for answer in answers) == [201] * 5 + [503] * 35
        assert registry.free == 0


async def test_who_sends_no_media_leaves_room_for_others(parts: Stages) -> None:
    registry = Registry(parts, MemorySink(), Metrics(), Slots(6), most_unheard=3)
    kept = [registry.keep_place("whip", "token greedy") for _ in range(3)]
    with pytest.raises(Exception, match="same sender"):
        registry.keep_place("whip", "token greedy")
    others = [registry.keep_place("whip", "token honest") for _ in range(3)]
    assert registry.free == 0
    for place in (*kept, *others):
        place.release()
        place.release()
    assert registry.free == 6
    refused = registry._metrics.registry.get_sample_value(
        "monitor_calls_refused_total", {"ingest": "whip", "reason": "quota"}
    )
    assert refused == 1


async def test_one_sender_has_no_more_calls_than_its_share(parts: Stages) -> None:
    registry = Registry(parts, MemorySink(), Metrics(), Slots(6), most_each=2)
    hung_up = []
    for _ in range(2):
        talker = test_pause.Talker()
        hung_up.append(talker.hung_up)
        registry.start(talker, "remote", owner="token greedy")
    with pytest.raises(CapacityError, match="same sender") as error:
        registry.admit("whip", "token greedy")
    assert error.value.reason == "quota"
    registry.admit("whip", "token honest")
    # What is pulled belongs to nobody.
    registry.admit("rtsp")
    hung_up[0].set()
    while registry.active > 1:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    registry.admit("whip", "token greedy")
    await registry.close()


async def test_who_is_paused_from_the_start_counts_as_heard(parts: Stages) -> None:
    registry = Registry(parts, MemorySink(), Metrics(), Slots(6), most_unheard=1)
    talker = test_pause.Talker()
    call = registry.start(talker, "remote", owner="token clinic")
    call.pause("remote", PauseReason.CONSENT)
    assert registry._unheard("token clinic") == 1
    while registry._unheard("token clinic"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert call._paused
    registry.admit("whip", "token clinic")
    talker.hung_up.set()
    await registry.wait(call)
    await registry.close()


async def test_one_peers_sip_leaves_another_peer_an_answer(parts: Stages) -> None:
    async with sip.rig(parts) as found:
        greedy = await found.dial()
        for n in range(3000):
            greedy.request("OPTIONS")
            if n % 50 == 49:
                await asyncio.sleep(0)
        assert not found.recorder.transactions._servers
        other, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            sip.Client, ("127.0.0.9", 0)
        )
        found.open.append(other)
        client = other.get_protocol()
        assert isinstance(client, sip.Client)
        client.port = other.get_extra_info("sockname")[1]
        client._send = lambda data: other.sendto(data, ("127.0.0.1", found.port))
        branch = client.request("OPTIONS")
        for _ in range(4):
            # A full socket loses it, and so RFC 3261 has it sent again.
            await asyncio.sleep(0.5)
            if client.heard:
                break
            client.number -= 1
            client.request("OPTIONS", branch=branch)
        assert client.heard


async def test_a_session_does_not_gather_participants_without_end(parts: Stages) -> None:
    async with sip.rig(parts) as found:
        client = await found.dial()
        await client.open()
        for n in range(100):
            who = sip.metadata(label_1=(f"p{n}", f"sip:+1555{n:04}@carrier.example"))
            answer = await client.answer(client.invite(None, who))
            client.request("ACK")
            if answer.status_code != 200:
                break
        assert answer.status_code == 488
        assert len(next(iter(found.registry)).participants) <= 64
