"""Newest wins and counts, or the sender waits."""

import asyncio

import pytest

from monitor.runtime.channel import Channel, ChannelClosedError


async def test_put_drops_the_oldest_and_counts() -> None:
    channel: Channel[int] = Channel(3)
    kept = [channel.put(i) for i in range(5)]
    channel.close()
    assert kept == [True, True, True, False, False]
    assert [i async for i in channel] == [2, 3, 4]
    assert channel.dropped == 2


async def test_send_waits_for_room() -> None:
    channel: Channel[int] = Channel(2)
    received: list[int] = []

    async def receive() -> None:
        async for item in channel:
            received.append(item)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receive())
        for i in range(20):
            await channel.send(i)
            assert len(channel) <= 2
        channel.close()
    assert received == list(range(20))
    assert channel.dropped == 0


async def test_a_waiting_sender_learns_that_nobody_receives() -> None:
    channel: Channel[int] = Channel(1)
    await channel.send(1)
    waiting = asyncio.create_task(channel.send(2))
    await asyncio.sleep(0)
    channel.abandon()
    with pytest.raises(ChannelClosedError):
        await waiting
    assert [i async for i in channel] == []
