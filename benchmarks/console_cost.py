"""What an open console costs the service: `make bench-console`.

A measurement, not a test: nothing here asserts on time, and the figures are those of the machine.

    20 calls ──20 ms of PCM, in real time──> the service <──events── Chromium, the console open
                                             process CPU seconds, resident memory

The same calls go on through all phases: closed, open, closed, open... Phases alternate, so that
what else the machine does falls on both alike. Cost is the CPU time of the service's process by
the kernel's account, which does not count what others use; it is not wall time. The open phase
shows the list of calls for its first half and one call's page, with its pictures, for the second.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.alert_latency import Caller, lost_share, packets
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.service import TOKEN, Service

LONGEST = 60.0
"""Seconds of speech, which callers repeat."""


@dataclass(frozen=True)
class Phase:
    """One stretch of time, with the console open or closed."""

    opened: bool
    wall: float
    """Seconds."""
    cpu: float
    """CPU seconds of the service's process, all threads."""
    megabytes: float
    """Resident memory at the end."""
    list_cpu: float = 0.0
    """CPU seconds of the half in which the list of calls was shown."""
    page_megabytes: tuple[float, ...] = ()
    """JavaScript memory in use after a collection: at the begin and end of both halves."""

    @property
    def cores(self) -> float:
        """Share of a core."""
        return self.cpu / self.wall


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, from /proc/PID/stat (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def page_megabytes(page: Page) -> float:
    """What the page's scripts hold on to."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    session.detach()
    return used


def measure_phase(pid: int, page: Page | None, url: str, seconds: float) -> Phase:
    """Let time pass, with a page that looks at calls if there is one."""
    began, before, half = time.monotonic(), cpu_seconds(pid), 0.0
    held: list[float] = []
    if page is None:
        time.sleep(seconds)
    else:
        page.goto(f"{url}/#/")
        page.wait_for_selector("#calls a")
        for at in (seconds / 2, seconds):
            # What the page shows has its size by then.
            page.wait_for_timeout(min(10.0, seconds / 4) * 1000)
            held.append(page_megabytes(page))
            page.wait_for_timeout(max(0.0, at - (time.monotonic() - began)) * 1000)
            held.append(page_megabytes(page))
            if not half:
                half = cpu_seconds(pid) - before
                page.click("#calls a >> nth=0")
    wall = time.monotonic() - began
    return Phase(
        page is not None, wall, cpu_seconds(pid) - before, megabytes(pid), half, tuple(held)
    )


def summary(phases: Sequence[Phase]) -> dict[str, Any]:
    """Means of both kinds, their ratio and difference, and how memory went."""
    opened = [p for p in phases if p.opened]
    closed = [p for p in phases if not p.opened]
    with_console = statistics.mean(p.cores for p in opened)
    without = statistics.mean(p.cores for p in closed)
    return {
        "core_share_closed": round(without, 4),
        "core_share_open": round(with_console, 4),
        "extra_core_share": round(with_console - without, 4),
        "ratio": round(with_console / without, 4),
        "megabytes_first": round(phases[0].megabytes, 1),
        "megabytes_last": round(phases[-1].megabytes, 1),
        "megabytes_grown_open": round(_grown(phases, True), 1),
        "megabytes_grown_closed": round(_grown(phases, False), 1),
        "page_megabytes_grown": round(max(_page_grown(p) for p in opened), 2),
    }


def _page_grown(phase: Phase) -> float:
    """The larger growth of the two halves."""
    first, then, second, last = phase.page_megabytes
    return max(then - first, last - second)


def _grown(phases: Sequence[Phase], opened: bool) -> float:
    """Megabytes added in all phases of a kind but the first of the run."""
    pairs = zip(phases, phases[1:], strict=False)
    return sum(b.megabytes - a.megabytes for a, b in pairs if b.opened is opened)


def measure(calls: int, rounds: int, seconds: float, closed: float) -> dict[str, Any]:
    """Run the service, the calls and the browser; what was found, ready for JSON."""
    media = packets(LONGEST)
    whole = list(media) * (1 + round(rounds * (seconds + closed) / LONGEST) + 2)
    enough, phases = threading.Event(), []
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        with Service(Path(folder), f"[limits]\ncalls = {calls}\n") as service:
            pid = service.process.pid
            callers = [Caller(f"caller-{n}") for n in range(calls)]
            url = service.url.replace("http", "ws", 1)
            with ThreadPoolExecutor(calls) as threads, Browser(Path(folder)) as browser:
                page = browser.open("about:blank")
                playing = [
                    threads.submit(caller.play, url, whole, n / calls, enough)
                    for n, caller in enumerate(callers)
                ]
                try:
                    wait_until(
                        lambda: len(service.get("/api/v1/calls", active=True)) == calls,
                        60, "all calls",
                    )  # fmt: skip
                    page.goto(f"{service.url}/#token={TOKEN}")
                    page.goto("about:blank")
                    # Until every call has scored windows: the first ones cost more.
                    time.sleep(10)
                    for _ in range(rounds):
                        for shown, lasts in ((None, closed), (page, seconds)):
                            phases.append(measure_phase(pid, shown, service.url, lasts))
                            page.goto("about:blank")
                finally:
                    enough.set()
                for caller_done in playing:
                    caller_done.result()
            ended = service.get("/api/v1/calls", limit=1000)
    return {
        "benchmark": "console_cost",
        "calls": calls,
        "rounds": rounds,
        "open_seconds": seconds,
        "closed_seconds": closed,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(before, 2),
        "media_lost_share": round(lost_share(ended), 4),
        **summary(phases),
        "phases": [asdict(p) for p in phases],
    }


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [
        "{calls} calls, {rounds} rounds of {closed_seconds:g} s closed and {open_seconds:g} s "
        "open; {cores} cores, load {load_before} before; "
        "media lost {media_lost_share:.1%}".format_map(result),
        "service CPU closed {core_share_closed:.1%} of a core, open {core_share_open:.1%}: "
        "{extra_core_share:+.1%}, ratio {ratio:.3f}".format_map(result),
        "resident memory {megabytes_first:g} to {megabytes_last:g} MB; grown while open "
        "{megabytes_grown_open:+g}, while closed {megabytes_grown_closed:+g}; the page grew "
        "by at most {page_megabytes_grown:+g} MB".format_map(result),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--calls", type=int, default=20, help="at the same time")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=100.0, help="open, each round")
    arguments.add_argument("--closed", type=float, default=40.0, help="seconds closed")
    chosen = arguments.parse_args()
    result = measure(chosen.calls, chosen.rounds, chosen.seconds, chosen.closed)
    print(table(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
