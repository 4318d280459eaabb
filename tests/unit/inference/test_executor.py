"""What the inference threads do first, and what they tell."""

import asyncio
import threading
import time
from functools import partial
from typing import Any

import pytest

from monitor.inference.executor import Executor
from monitor.metrics.sink import Metrics
from monitor.runtime import threads


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
    assert executor.lateness() == 0.0
    running = [asyncio.create_task(executor.run("face", gate.wait)) for _ in range(2)]
    while executor.lateness() < 0.1:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    gate.set()
    await asyncio.gather(*running)
    # It has begun meanwhile, and had waited.
    assert executor.lateness() >= 0.1
    assert executor.lateness() == 0.0
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


async def test_a_thread_that_dies_is_heard_of_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Executor(1)
    broken = iter([True])
    real = time.thread_time

    def dies() -> float:
        if next(broken, False):
            raise OSError("on purpose")
        return real()

    value = Metrics().registry.get_sample_value
    before = value("monitor_task_failures_total", {"task": "inference"}) or 0
    monkeypatch.setattr(time, "thread_time", dies)
    with pytest.raises(OSError, match="on purpose"):
        await executor.run("voice", lambda: 7)
    async with asyncio.timeout(30):
        assert await executor.run("voice", lambda: 8) == 8
    assert executor.missing == 0
    assert value("monitor_task_failures_total", {"task": "inference"}) == before + 1
    executor.close()


async def test_what_a_future_cannot_hold_reaches_who_waits_all_the_same() -> None:
    executor = Executor(1)
    with pytest.raises(RuntimeError, match="StopIteration"):
        async with asyncio.timeout(30):
            await executor.run("voice", lambda: next(iter(())))
    executor.close()


async def test_threads_that_the_system_does_not_give_are_missed_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor, room = Executor(2), 1
    real = threads.begin

    def scarce(*wanted: Any, **how: Any) -> threading.Thread:
        nonlocal room
        if not room:
            raise RuntimeError("can't start new thread")
        room -= 1
        return real(*wanted, **how)

    monkeypatch.setattr(threads, "begin", scarce)
    assert await executor.run("voice", lambda: 7) == 7
    assert executor.missing == 1
    room = 1
    assert await executor.run("voice", lambda: 8) == 8
    assert executor.missing == 0
    executor.close()
