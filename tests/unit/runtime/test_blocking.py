"""Work in a thread of its own leaves nothing behind."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from monitor.runtime.blocking import run_in_own_thread


class Decoder:
    """Something that work holds."""


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("fails", [False, True])
async def test_what_work_held_is_let_go_without_a_collection(fails: bool) -> None:
    seen: list[weakref.ref[Decoder]] = []

    def work() -> None:
        decoder = Decoder()
        seen.append(weakref.ref(decoder))
        if fails:
            raise ValueError("the stream is broken")

    try:
        await run_in_own_thread("test", work)
    except ValueError:
        assert fails
    # The thread itself may still be at its last lines.
    await asyncio.sleep(0.1)
    assert seen[0]() is None
