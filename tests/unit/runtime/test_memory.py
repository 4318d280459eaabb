"""Freed memory goes back to the system while the service runs."""

import asyncio
from pathlib import Path

from monitor.runtime.memory import returned
from monitor.runtime.tasks import Workers

_BLOCK, _BLOCKS = 100_000, 1000


def _resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_what_was_freed_goes_back_to_the_system() -> None:
    # Nine of ten are freed: too small to be mapped one by one, and below others that stay.
    kept = [bytes([n % 255 + 1]) * _BLOCK for n in range(_BLOCKS)][::10]
    wanted = _resident() - _BLOCKS * _BLOCK // 2
    await asyncio.sleep(0.3)
    assert _resident() > wanted, "it goes back by itself: this shows nothing"
    async with returned(Workers(), every=0.05):
        for _ in range(100):
            await asyncio.sleep(0.05)
            if _resident() < wanted:
                break
    assert _resident() < wanted
    assert len(kept) == _BLOCKS // 10
