"""`serve` with a probe on its event loop: `python -m benchmarks.loop_lag FILE serve ...`.

The probe sleeps ten milliseconds again and again and counts how late it wakes, in bins of one
millisecond, so that it needs no more memory in the end than in the beginning. FILE holds the counts
as JSON, written anew every few seconds.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from monitor import cli
from monitor.commands import serve
from monitor.web import server

_STEP = 0.01
_BINS = 2000
"""Milliseconds; the last bin holds what is later still."""
_WRITE = 2.0
"""Seconds."""


async def probe(path: Path) -> None:
    """Measure until the loop ends."""
    loop = asyncio.get_running_loop()
    counts = [0] * _BINS
    written = loop.time()
    while True:
        due = loop.time() + _STEP
        await asyncio.sleep(_STEP)
        late = loop.time() - due
        counts[min(_BINS - 1, int(max(0.0, late) * 1000))] += 1
        if loop.time() - written > _WRITE:
            written = loop.time()
            unfinished = path.with_suffix(".part")
            unfinished.write_text(json.dumps({i: n for i, n in enumerate(counts) if n}))
            unfinished.replace(path)


def percentile(counts: dict[int, int], percent: float) -> int:
    """Milliseconds that so many of a hundred wakings were not later than (upper end of the bin)."""
    wanted, seen = percent / 100 * sum(counts.values()), 0
    for late in sorted(counts):
        seen += counts[late]
        if seen >= wanted:
            return late + 1
    return 0


class Probed(server.Server):
    """The service's server, with the probe beside it."""

    path: Path
    _probe: asyncio.Task[None]

    async def startup(self, sockets: Any = None) -> None:
        """Start, and begin to measure."""
        await super().startup(sockets)
        self._probe = asyncio.create_task(probe(self.path))


def main() -> None:
    """Run the command line with the probe in its server."""
    Probed.path = Path(sys.argv.pop(1))
    vars(serve)["Server"] = Probed
    cli.main()


if __name__ == "__main__":
    main()
