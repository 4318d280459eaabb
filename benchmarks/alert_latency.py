"""How long after the end of a window a webhook hears of the alert: `make bench-alerts`.

A measurement, not a test: nothing here asserts on time, and the figures are those of the machine,
of what else it does, and of the models in the tree.

    10 calls ──20 ms of PCM, in real time──> the service ──POST──> a receiver
             sent: monotonic seconds                               arrived: the same clock

Each call plays a synthetic voice that is known to alarm over a telephony WebSocket of its own.
An alert's verdict says how many seconds of the call were accounted for when it was decided, which
is where the window that decided it ends. The window's end is the moment at which the sender handed
the packet with that second to its socket; the receipt is the moment at which the receiver has read
the whole request. So the figure holds all that lies between: the way over loopback, resampling, the
wait for an inference thread, speech gate and detector, the decision, the commit to SQLite (synced
to disk), signing, and the delivery. It leaves out how long a voice must speak before it is
suspected: that is a matter of the models, not of the machine.

The receiver and the callers share the machine, and its cores, with the service.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import connect

from tests.e2e.rig.process import wait_until
from tests.e2e.rig.receiver import Post, Receiver
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav
from tests.e2e.service import TOKEN, Service

VOICE = "synthetic-flite"
"""An engine that is far over every threshold: how long an alert takes is asked, not whether."""
RATE = 16_000
PACKET_SECONDS = 0.02
HOP = 1.0
"""Seconds from one window's end to the next."""
DELIVERY_SECONDS = 10.0
"""How long alerts may still be under way after the last packet."""
MOST_CALLS = 1000
"""What the API lists at once."""
SECRET = "whsec_YmVuY2htYXJrIG9mIGFsZXJ0cyBzZWNyZXQ="
TOLERANCE = 0.25
"""Seconds by which a call may account for more or less than was sent: resampling, rounding."""
ROUNDING = 0.0005
"""Seconds; a verdict's numbers have three digits."""


@dataclass
class Caller:
    """One call and when each of its packets left."""

    label: str
    sent: list[float] = field(default_factory=list)
    """Monotonic seconds, one for each packet."""

    def play(
        self, url: str, packets: Sequence[bytes], delay: float, enough: threading.Event
    ) -> None:
        """Send in real time from `delay` seconds on, until the end or until `enough`."""
        time.sleep(delay)
        target = f"{url}/telephony/freeswitch?rate={RATE}&mix=mono&call={self.label}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with connect(target, additional_headers=headers, proxy=None, open_timeout=30) as stream:
            began = time.monotonic()
            for index, packet in enumerate(packets):
                if enough.is_set():
                    return
                time.sleep(max(0.0, began + index * PACKET_SECONDS - time.monotonic()))
                self.sent.append(time.monotonic())
                stream.send(packet)


@dataclass(frozen=True)
class Sample:
    """One alert message at the receiver."""

    call: str
    tier: str
    seconds: float
    """From the window's end to the receipt."""


def window_end(sent: Sequence[float], verdict: Mapping[str, Any]) -> float | None:
    """When the packet left that completed the window of this verdict.

    None if media came so late that the service put the call's clock right: then its seconds do not
    say which packet it was. What was dropped on overload keeps its place.
    """
    spent = verdict["seconds"]
    if set(spent["lost_by_reason"]) - {"overload"}:
        return None
    accounted = spent["scored"] + spent["abstained"] + spent["lost"]
    index = ceil((accounted - ROUNDING) / PACKET_SECONDS) - 1
    return sent[index] if 0 <= index < len(sent) else None


def samples(
    posts: Iterable[Post], labels: Mapping[str, str], callers: Iterable[Caller]
) -> tuple[list[Sample], int]:
    """The first receipt of every alert that was raised, and how many could not be placed.

    `labels` are the calls' labels by call id. A message that is repeated counts once.
    """
    sent = {caller.label: caller.sent for caller in callers}
    found: dict[str, Sample] = {}
    lost: set[str] = set()
    for post in posts:
        alert = post.json()["data"]
        key = alert["idempotency_key"]
        if alert["action"] != "raised" or key in found:
            continue
        label = labels.get(alert["call"], "")
        ended = window_end(sent.get(label, []), alert["verdict"])
        if ended is None:
            lost.add(key)
        else:
            found[key] = Sample(label, alert["tier"], post.monotonic - ended)
    return list(found.values()), len(lost)


def whole(call: Mapping[str, Any], sent: Sequence[float]) -> bool:
    """Whether an ended call accounts for as much as was sent.

    A service that stalls thins what comes in a rush afterwards, and of that no second tells.
    """
    spent = [p["verdict"]["seconds"] for p in call["participants"] if p["verdict"]]
    accounted = sum(s["scored"] + s["abstained"] + s["lost"] for s in spent)
    return bool(abs(accounted - len(sent) * PACKET_SECONDS) <= TOLERANCE)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: a value that was measured, never one in between. Needs a value."""
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True)
class Row:
    """What is said of a set of samples, in seconds."""

    tier: str
    n: int
    p50: float
    p95: float
    max: float


def rows(found: Sequence[Sample]) -> list[Row]:
    """All samples, then each tier's."""
    chosen = {"all": found}
    for tier in sorted({s.tier for s in found}):
        chosen[tier] = [s for s in found if s.tier == tier]
    table = []
    for tier, some in chosen.items():
        times = [s.seconds for s in some]
        if times:
            p50, p95 = percentile(times, 50), percentile(times, 95)
            table.append(Row(tier, len(times), p50, p95, max(times)))
    return table


def lost_share(calls: Iterable[Mapping[str, Any]]) -> float:
    """The share of the calls' seconds that was lost: above 0, the machine carries fewer calls."""
    spent = [p["verdict"]["seconds"] for c in calls for p in c["participants"] if p["verdict"]]
    lost = sum(s["lost"] for s in spent)
    total = lost + sum(s["scored"] + s["abstained"] for s in spent)
    return float(lost / total) if total else 0.0


def packets(seconds: float) -> list[bytes]:
    """The voice as a platform would send it."""
    sound, rate = read_wav(Recordings().voice(VOICE).wav16)
    assert rate == RATE
    whole = (sound[: round(seconds * RATE)] * 32767).clip(-32768, 32767).astype(np.dtype("<i2"))
    size = round(RATE * PACKET_SECONDS)
    return [whole[at : at + size].tobytes() for at in range(0, len(whole) - size + 1, size)]


class Bench:
    """Calls in rounds, on one service."""

    def __init__(self, service: Service, receiver: Receiver, media: Sequence[bytes]) -> None:
        self._service = service
        self._receiver = receiver
        self._media = media

    def round(self, number: int, calls: int, spread: float) -> tuple[list[Sample], int, int]:
        """Samples, alerts that could not be placed, and calls without an alert of tier alert."""
        self._receiver.clear()
        callers = [Caller(f"round{number}-call{n}") for n in range(calls)]
        url = self._service.url.replace("http", "ws", 1)
        enough = threading.Event()
        with ThreadPoolExecutor(calls) as threads:
            playing = [
                threads.submit(caller.play, url, self._media, n * spread / calls, enough)
                for n, caller in enumerate(callers)
            ]
            while not all(p.done() for p in playing):
                time.sleep(0.5)
                if len(self._alarmed()) >= calls:
                    enough.set()
            for done in playing:
                done.result()
        wait_until(
            lambda: not self._service.get("/api/v1/calls", active=True), 30, "the calls' end"
        )
        wait_until(
            lambda: not self._service.get("/api/v1/deliveries", state="pending"),
            DELIVERY_SECONDS, "the deliveries",
        )  # fmt: skip
        sent = {caller.label: caller.sent for caller in callers}
        ended = self._service.get("/api/v1/calls", limit=MOST_CALLS)
        labels = {c["id"]: c["label"] for c in ended if whole(c, sent.get(c["label"], []))}
        found, lost = samples(self._receiver.posts, labels, callers)
        return found, lost, calls - len(self._alarmed())

    def _alarmed(self) -> set[str]:
        alerts = [post.json()["data"] for post in self._receiver.posts]
        return {a["call"] for a in alerts if (a["tier"], a["action"]) == ("alert", "raised")}


def measure(calls: int, rounds: int, spread: float, seconds: float) -> dict[str, Any]:
    """Run the service and the calls; what was found, ready for JSON."""
    before = os.getloadavg()[0]
    found: list[Sample] = []
    lost = silent = 0
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver:
        hook = f'[[webhooks]]\nname = "desk"\nurl = "{receiver.url()}"\nsecret = "{SECRET}"\n'
        with Service(Path(folder), f"[limits]\ncalls = {calls}\n{hook}") as service:
            bench = Bench(service, receiver, packets(seconds))
            for number in range(rounds):
                some, unplaced, without = bench.round(number, calls, spread)
                found, lost, silent = found + some, lost + unplaced, silent + without
            totals, ended = service.metrics(), service.get("/api/v1/calls", limit=MOST_CALLS)
    verdicts = totals.get('monitor_lag_seconds_count{detector="voice"}', 0.0)
    lag = totals.get('monitor_lag_seconds_sum{detector="voice"}', 0.0)
    return {
        "benchmark": "alert_latency",
        "calls": calls,
        "rounds": rounds,
        "spread_seconds": spread,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(before, 2),
        "rows": [asdict(row) for row in rows(found)],
        "media_lost_share": round(lost_share(ended), 4),
        "alerts_not_placed": lost,
        "calls_without_alert": silent,
        "windows": int(verdicts),
        "window_to_verdict_mean": lag / verdicts if verdicts else None,
    }


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [
        "{calls} calls at once, {rounds} rounds, starts spread over {spread_seconds:g} s; "
        "{cores} cores, load {load_before} before".format_map(result),
        "end of the window to receipt of the alert, seconds",
        f"{'tier':8}{'n':>6}{'p50':>9}{'p95':>9}{'max':>9}",
    ]
    lines += ["{tier:8}{n:>6}{p50:>9.3f}{p95:>9.3f}{max:>9.3f}".format_map(r)
              for r in result["rows"]]  # fmt: skip
    mean = result["window_to_verdict_mean"]
    if mean is not None:
        lines.append(f"of which window to verdict, mean of {result['windows']}: {mean:.3f}")
    lines.append(
        "calls without an alert: {calls_without_alert}; "
        "alerts not counted, of calls that stalled: {alerts_not_placed}; "
        "media lost: {media_lost_share:.1%}".format_map(result)
    )
    if result["media_lost_share"] > 0:
        lines.append("media was lost: this machine did not carry so many calls, so take fewer")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--calls", type=int, default=10, help="at the same time")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument(
        "--spread", type=float, default=HOP,
        help="seconds over which starts are spread; 0: all windows end at once, the worst case",
    )  # fmt: skip
    arguments.add_argument("--seconds", type=float, default=30.0, help="a call lasts at most")
    chosen = arguments.parse_args()
    result = measure(chosen.calls, chosen.rounds, chosen.spread, chosen.seconds)
    print(table(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
