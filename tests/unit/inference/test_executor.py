"""What the inference threads do first, and what they tell."""

import asyncio
import threading
from functools import partial

import pytest

from monitor.inference.executor import Executor


async def test_the_voice_comes_first_and_cues_come_last() -> None:
    executor, gate = Executor(1), threading.Event()
    done: list[str] = []
    blocked = asyncio.create_task(executor.run("face", gate.wait))
    await asyncio.sleep(0.05)
    waiting = [
        asyncio.create_task(executor.run(stage, partial(done.append, stage)))
        for stage in ("cues", "face", "voice", "landmarks", "voice")
    ]
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(blocked, *waiting)
    executor.close()
    assert done == ["voice", "voice", "face", "cues", "landmarks"]


async def test_lateness_is_the_longest_wait_since_it_was_asked() -> None:
    executor, gate = Executor(1), threading.Event()
    assert executor.lateness() < 0.01
    running = [asyncio.create_task(executor.run("face", gate.wait)) for _ in range(2)]
    await asyncio.sleep(0.12)
    assert executor.lateness() >= 0.1
    gate.set()
    await asyncio.gather(*running)
    # It has begun meanwhile, and had waited.
    assert executor.lateness() >= 0.1
    assert executor.lateness() < 0.01
    executor.close()


async def test_an_error_reaches_who_waits_and_the_thread_goes_on() -> None:
    seen: list[tuple[str, float, float, float]] = []
    executor = Executor(1, lambda *heard: seen.append(heard))

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await executor.run("voice", fail)
    assert await executor.run("voice", lambda: 7) == 7
    executor.close()
    assert [stage for stage, *_ in seen] == ["voice"]


async def test_who_gave_up_waiting_costs_nothing() -> None:
    executor, gate = Executor(1), threading.Event()
    done: list[str] = []
    blocked = asyncio.create_task(executor.run("face", gate.wait))
    given_up = asyncio.create_task(executor.run("face", lambda: done.append("late")))
    await asyncio.sleep(0.05)
    given_up.cancel()
    await asyncio.sleep(0)
    gate.set()
    await blocked
    executor.close()
    assert not done
