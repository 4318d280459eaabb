"""Nothing dies unheard: tasks, workers, threads."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from monitor.metrics.sink import Metrics
from monitor.runtime import threads
from monitor.runtime.tasks import MOST_DEATHS, Work, Workers, awaited, begin, ended, overhear


def deaths(task: str) -> float:
    found = Metrics().registry.get_sample_value("monitor_task_failures_total", {"task": task})
    return found or 0.0


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def fails() -> None:
    raise ValueError("on purpose")


async def test_who_owns_a_task_hears_that_it_died() -> None:
    heard: list[BaseException] = []
    before = deaths("hearing")
    task = begin("hearing", fails(), heard.append)
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert [str(error) for error in heard] == ["on purpose"]
    assert deaths("hearing") == before + 1


async def test_a_task_that_was_cancelled_on_purpose_did_not_die() -> None:
    heard: list[BaseException] = []
    before = deaths("hearing")
    await ended(begin("hearing", asyncio.sleep(60), heard.append))
    assert await awaited("begin", asyncio.sleep(0, 7)) == 7
    assert (heard, deaths("hearing")) == ([], before)


async def test_a_task_under_which_something_was_cancelled_died() -> None:
    heard: list[BaseException] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await future

    task = begin("hearing", wait(), heard.append)
    await asyncio.sleep(0)
    future.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert [type(error) for error in heard] == [asyncio.CancelledError]


@asynccontextmanager
async def working(work: Work, clock: Callable[[], float]) -> AsyncIterator[Workers]:
    workers = Workers(clock, again=0.001)
    async with workers.running([("governor", work)]):
        yield workers
    assert workers.dead == ()


@pytest.mark.parametrize("error", [ValueError("on purpose"), asyncio.CancelledError()])
async def test_a_worker_that_dies_is_begun_again(error: BaseException) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise error
        await asyncio.sleep(60)

    before = deaths("governor")
    async with working(work, time.monotonic) as workers:
        await until(lambda: runs == 2)
        assert workers.dead == ()
    assert deaths("governor") == before + 1


async def test_a_worker_that_dies_every_time_is_known_to_be_dead_until_it_is_well() -> None:
    now, well, runs = 0.0, False, 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if not well:
            raise ValueError("on purpose")
        await asyncio.sleep(60)

    async with working(work, lambda: now) as workers:
        await until(lambda: runs > MOST_DEATHS)
        assert list(workers.dead) == ["governor"]
        well, runs, now = True, 0, 1.0
        await until(lambda: runs == 1)
        # It may die in the next moment, as it did before.
        assert list(workers.dead) == ["governor"]
        now = 100.0
        assert list(workers.dead) == []


async def test_what_nobody_owns_is_overheard() -> None:
    loop = asyncio.get_running_loop()
    before = deaths("other")
    overhear(loop)
    loop.call_soon(lambda: 1 // 0)
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert deaths("other") == before + 1


def test_a_lasting_thread_goes_on_where_another_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "AGAIN", 0.0)
    before = deaths("evidence")
    for lasting, wanted in ((True, 3), (False, 1)):
        runs: list[int] = []
        begun = threads.begin("x", "evidence", lambda runs=runs: dies(runs), lasting=lasting)  # type: ignore[misc]
        begun.join(30)
        assert not begun.is_alive()
        assert len(runs) == wanted
    assert deaths("evidence") == before + 3


def dies(runs: list[int]) -> None:
    """Twice."""
    runs.append(1)
    if len(runs) < 3:
        raise ValueError("on purpose")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names threads so")
def test_a_thread_has_its_name() -> None:
    seen: list[str] = []

    def look() -> None:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm") as comm:
            seen.append(comm.read().strip())

    threads.begin("x", "a name longer than most", look, lasting=False).join(30)
    assert seen == ["a name longer t"]


STARVED = """
import asyncio, os, resource
from monitor.inference.executor import Executor
from monitor.runtime.blocking import run_in_own_thread

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    executor = Executor(2)
    print(await asyncio.wait_for(executor.run("voice", lambda: 7), 20), executor.missing)
    print(await asyncio.wait_for(run_in_own_thread("video", lambda: 8), 20))
    executor.close()

asyncio.run(main())
"""


def test_threads_work_while_strangers_hold_every_descriptor() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["7", "0", "8"]), done.stderr
