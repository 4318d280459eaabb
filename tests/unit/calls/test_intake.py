"""Decode threads hand media over, wait in a replay, and learn that a call is over."""

import asyncio
import threading

import pytest

from monitor.calls.intake import AUDIO_CAPACITY, CallIntake
from monitor.runtime.channel import ChannelClosedError
from monitor.types import Gap, LostReason, Span, Tracks
from monitor.types.packet import EncodedPacket, Encoding
from tests.fakes import noise

FRAME = noise(0.0, 0.02, 0.1)


def intake(live: bool) -> CallIntake:
    return CallIntake(live, lambda stage: None)


async def test_a_replay_waits_and_nothing_is_dropped() -> None:
    calls = intake(live=False)

    def replay() -> None:
        for _ in range(3 * AUDIO_CAPACITY):
            calls.put_threadsafe(FRAME)
        calls._loop.call_soon_threadsafe(calls.close)

    thread = threading.Thread(target=replay)
    thread.start()
    assert len([arrival async for arrival in calls.audio]) == 3 * AUDIO_CAPACITY
    thread.join(5)
    assert calls.audio.dropped == 0


async def test_a_live_thread_never_waits() -> None:
    calls = intake(live=True)

    def play() -> None:
        for _ in range(600):
            calls.put_threadsafe(FRAME)

    await asyncio.to_thread(play)
    await asyncio.sleep(0)
    assert calls.audio.dropped == 600 - AUDIO_CAPACITY


@pytest.mark.parametrize("live", [False, True])
async def test_a_thread_learns_that_the_call_is_over(live: bool) -> None:
    calls = intake(live)
    calls.abandon()
    with pytest.raises(ChannelClosedError):
        await asyncio.to_thread(calls.put_threadsafe, FRAME)


async def test_a_waiting_thread_learns_it_too() -> None:
    calls = intake(live=False)
    for _ in range(AUDIO_CAPACITY):
        await calls.put(FRAME)
    waiting = asyncio.create_task(asyncio.to_thread(calls.put_threadsafe, FRAME))
    await asyncio.sleep(0.05)
    calls.abandon()
    with pytest.raises(ChannelClosedError):
        await waiting


@pytest.mark.parametrize("live", [False, True])
def test_a_thread_survives_the_loop(live: bool) -> None:
    made: list[CallIntake] = []

    async def make() -> None:
        made.append(intake(live))

    asyncio.run(make())
    with pytest.raises(ChannelClosedError):
        made[0].put_threadsafe(FRAME)


async def test_nothing_of_a_paused_participant_passes() -> None:
    paused: set[str] = set()
    kept: list[EncodedPacket] = []
    calls = CallIntake(True, lambda stage: None, paused, kept.append)
    packet = EncodedPacket("remote", Encoding("audio", "opus", 48_000, 2), b"x", 0.0, 0.02, True)
    target = calls.encoded
    assert target is not None
    target(packet)
    await calls.put(FRAME)
    paused.add("remote")
    target(packet)
    await calls.put(FRAME)
    await calls.put(Gap("remote", Span(0.0, 1.0), LostReason.NETWORK))
    assert (len(kept), len(calls.audio)) == (1, 1)
    await calls.put(Gap("remote", Span(0.0, 1.0), LostReason.PAUSED))
    await calls.put(Tracks("remote", True, True))
    assert len(calls.audio) == 3


async def test_without_evidence_sources_are_given_no_place_for_packets() -> None:
    assert intake(live=True).encoded is None


async def test_what_is_judged_after_the_end_takes_no_call_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = [100.0]
    monkeypatch.setattr("monitor.calls.intake.time.monotonic", lambda: at[0])
    calls = intake(live=True)
    assert calls.now() == 0
    at[0] = 140.0
    calls.close()
    at[0] = 150.0
    calls.close()
    assert calls.now() == 40
