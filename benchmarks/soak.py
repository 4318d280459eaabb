"""Whether hours leave traces: calls that come and go, and what the service holds: `make soak`.

A measurement, not a test: nothing here asserts, and the figures are those of the machine and of
what else it does.

    browser's part (aiortc)   H.264, Opus ──WHIP──┐
    camera (gst-rtsp-server)  H.264, PCMU ──RTSP──┼──> the service   memory, threads, files, its
    telephone platform        16 kHz PCM ──WSS────┘                  event loop's lag

Every lane has one call at a time: it lasts a random while, ends, and after a pause the next one
begins. What is sent is a person's recorded speech, and a filmed face where there are pictures. In
the end the seconds that each call accounts for (scored, abstained, lost) are held against how long
it was sent. Memory and threads are compared between the first and the last quarter of the time
after a tenth that is left out, as medians.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from websockets.asyncio.client import connect

from benchmarks.alert_latency import PACKET_SECONDS, RATE
from benchmarks.console_cost import megabytes
from benchmarks.loop_lag import percentile
from monitor.ingest.rtp.aiortc_adapter import offer_loopback
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.rig.sound import read_wav
from tests.e2e.service import TOKEN, Service

VOICE = "human-en"
LANES = ("whip", "rtsp", "telephony")
PAUSE = 3.0
"""Seconds between two calls of a lane, at most."""
SAMPLE = 5.0
"""Seconds between two looks at the service's process."""
TOLERANCE = 1.5
"""Seconds by which a call may account for more or less than was sent: it takes a moment until the
first packet is on its way, and until the last is judged."""
_HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Sent:
    """One call as its sender saw it."""

    lane: str
    seconds: float
    """From the first media to the last."""


@dataclass(frozen=True)
class Look:
    """The service's process at one moment."""

    at: float
    """Seconds since the soak began."""
    megabytes: float
    threads: int
    files: int
    load: float


@dataclass(frozen=True)
class Plan:
    """What is to happen; seconds."""

    seconds: float = 1800.0
    lanes: tuple[str, ...] = LANES
    shortest: float = 15.0
    longest: float = 90.0
    seed: int = 1


@dataclass
class Bench:
    """A service under calls."""

    service: Service
    camera: str
    film: Path
    speech: Sequence[bytes]
    plan: Plan
    sent: dict[str, Sent] = field(default_factory=dict)
    """By the call's label."""
    failed: Counter[str] = field(default_factory=Counter)
    looks: list[Look] = field(default_factory=list)

    async def run(self) -> None:
        """Let every lane have its calls until time is up."""
        began = time.monotonic()
        watch = asyncio.create_task(self._watch(began))
        url = self.service.url
        async with httpx.AsyncClient(base_url=url, headers=_HEADERS, timeout=40) as http:
            kinds: dict[str, Callable[[str, float], Awaitable[float]]] = {
                "whip": lambda label, length: self._whip(http, label, length),
                "rtsp": lambda label, length: self._rtsp(http, label, length),
                "telephony": self._telephony,
            }
            await asyncio.gather(
                *(
                    self._lane(f"{kind}{n}", kinds[kind], began)
                    for n, kind in enumerate(self.plan.lanes)
                )
            )
        watch.cancel()

    async def _lane(
        self, name: str, play: Callable[[str, float], Awaitable[float]], began: float
    ) -> None:
        chance, number = random.Random(f"{self.plan.seed}{name}"), 0
        plan = self.plan
        while (left := began + plan.seconds - time.monotonic()) > plan.shortest:
            number += 1
            label = f"{name}-{number}"
            length = min(left, chance.uniform(plan.shortest, plan.longest))
            try:
                self.sent[label] = Sent(name, await play(label, length))
            except (httpx.HTTPError, OSError) as error:
                self.failed[f"{name}: {type(error).__name__}"] += 1
            await asyncio.sleep(chance.uniform(0.2, PAUSE))

    async def _whip(self, http: httpx.AsyncClient, label: str, length: float) -> float:
        client = RTCPeerConnection()
        player = MediaPlayer(str(self.film), decode=False)
        try:
            for track in (player.audio, player.video):
                assert track is not None
                client.addTransceiver(track, direction="sendonly")
            await client.setLocalDescription(await client.createOffer())
            kind = {"Content-Type": "application/sdp"}
            answer = await http.post(
                "/whip", content=client.localDescription.sdp, headers=kind, params={"call": label}
            )
            answer.raise_for_status()
            await client.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            while client.connectionState != "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            began = time.monotonic()
            await asyncio.sleep(length)
            took = time.monotonic() - began
            (await http.delete(answer.headers["location"])).raise_for_status()
            return took
        finally:
            await client.close()
            for track in (player.audio, player.video):
                if track is not None:
                    track.stop()

    async def _rtsp(self, http: httpx.AsyncClient, label: str, length: float) -> float:
        body = {"uri": self.camera, "label": label}
        answer = await http.post("/api/v1/sources", json=body)
        answer.raise_for_status()
        began = time.monotonic()
        await asyncio.sleep(length)
        took = time.monotonic() - began
        (await http.delete(f"/api/v1/sources/{answer.json()['id']}")).raise_for_status()
        return took

    async def _telephony(self, label: str, length: float) -> float:
        url = self.service.url.replace("http", "ws", 1)
        target = f"{url}/telephony/freeswitch?rate={RATE}&mix=mono&call={label}"
        async with connect(target, additional_headers=_HEADERS, proxy=None) as stream:
            began = time.monotonic()
            for index in range(int(length / PACKET_SECONDS)):
                late = began + index * PACKET_SECONDS - time.monotonic()
                await asyncio.sleep(max(0.0, late))
                await stream.send(self.speech[index % len(self.speech)])
            # Not what was sent: where this side is late, the service has noticed.
            return time.monotonic() - began

    async def _watch(self, began: float) -> None:
        pid = self.service.process.pid
        while True:
            at = time.monotonic() - began
            self.looks.append(
                Look(at, megabytes(pid), threads(pid), files(pid), os.getloadavg()[0])
            )
            await asyncio.sleep(SAMPLE)


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def files(pid: int) -> int:
    """Open files and sockets of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def trend(looks: Sequence[Look], value: Callable[[Look], float]) -> dict[str, float]:
    """Medians of the first and last quarter after a tenth, and the slope in units an hour."""
    steady = [look for look in looks if look.at > looks[-1].at / 10]
    quarter = max(1, len(steady) // 4)
    first = statistics.median(value(look) for look in steady[:quarter])
    last = statistics.median(value(look) for look in steady[-quarter:])
    slope = 0.0
    if len(steady) > 2:
        line = statistics.linear_regression([k.at for k in steady], [value(k) for k in steady])
        slope = line.slope * 3600
    return {
        "first": round(first, 1), "last": round(last, 1), "per_hour": round(slope, 2),
        "most": round(max(value(look) for look in looks), 1),
    }  # fmt: skip


def account(calls: Sequence[Mapping[str, Any]], sent: Mapping[str, Sent]) -> dict[str, Any]:
    """Where the seconds went, and how far each call is off what was sent."""
    spent: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    off: dict[str, float] = {}
    found = {call["label"]: call for call in calls}
    for label, one in sent.items():
        total = 0.0
        for participant in found.get(label, {"participants": []})["participants"]:
            seconds = participant["verdict"]["seconds"] if participant["verdict"] else {}
            for outcome in ("scored", "abstained", "lost"):
                spent[outcome] += seconds.get(outcome, 0.0)
                total += seconds.get(outcome, 0.0)
            lost.update(seconds.get("lost_by_reason", {}))
        off[label] = total - one.seconds
    beyond = {label: round(by, 2) for label, by in off.items() if abs(by) > TOLERANCE}
    return {
        "sent_seconds": round(sum(one.seconds for one in sent.values()), 1),
        "seconds": {key: round(value, 1) for key, value in spent.items()},
        "lost_by_reason": {key: round(value, 1) for key, value in lost.items()},
        "off_median": round(statistics.median(off.values()), 3) if off else 0.0,
        "off_most": round(max(map(abs, off.values()), default=0.0), 3),
        "calls_off_by_more": beyond,
        "endings": dict(Counter(str(found[label]["ended"]) for label in sent if label in found)),
    }


def pieces() -> list[bytes]:
    """The voice in packets as a platform would send it."""
    sound, rate = read_wav(Recordings().voice(VOICE).wav16)
    assert rate == RATE
    whole = (sound * 32767).clip(-32768, 32767).astype("<i2")
    size = round(RATE * PACKET_SECONDS)
    return [whole[at : at + size].tobytes() for at in range(0, len(whole) - size + 1, size)]


def measure(plan: Plan) -> dict[str, Any]:
    """Run the service and its calls; what was found, ready for JSON."""
    recordings = Recordings()
    offer_loopback()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mount = Mount.of(recordings, VOICE, name="door", loop=True)
        cameras = stack.enter_context(RtspServer([mount], folder / "rtsp"))
        service = Service(folder / "service", "[store.retention]\ntimelines = 0.01\n")
        lag = folder / "lag.json"
        service.process.command[1:3] = ["-m", "benchmarks.loop_lag", str(lag)]
        stack.enter_context(service)
        # Longer than any call: aiortc's player, told to loop, sends the second round at once.
        film = recordings.long_film(VOICE, "h264", "opus", plan.longest + PAUSE)
        bench = Bench(service, cameras.url("door"), film, pieces(), plan)
        asyncio.run(bench.run())
        time.sleep(5)
        rest = Look(0, megabytes(service.process.pid), threads(service.process.pid),
                    files(service.process.pid), 0)  # fmt: skip
        calls = service.get("/api/v1/calls", limit=1000)
        dropped = {k: v for k, v in service.metrics().items() if k.startswith("monitor_dropped")}
        errors = sum('"level": "error"' in line for line in service.process.said().splitlines())
        counts: dict[int, int] = {}
        with suppress(FileNotFoundError):
            counts = {int(key): value for key, value in json.loads(lag.read_text()).items()}
    loads = [look.load for look in bench.looks]
    return {
        "benchmark": "soak",
        "minutes": round(plan.seconds / 60, 2),
        "lanes": list(plan.lanes),
        "call_seconds": [plan.shortest, plan.longest],
        "cores": len(os.sched_getaffinity(0)),
        "load": {"mean": round(statistics.mean(loads), 2), "most": round(max(loads), 2)},
        "calls": dict(Counter(one.lane for one in bench.sent.values())),
        "failed": dict(bench.failed),
        "megabytes": trend(bench.looks, lambda k: k.megabytes) | {"at_rest": rest.megabytes},
        "threads": trend(bench.looks, lambda k: k.threads) | {"at_rest": rest.threads},
        "files": trend(bench.looks, lambda k: k.files) | {"at_rest": rest.files},
        "loop_lag_milliseconds": {
            f"p{p:g}": percentile(counts, p) for p in (50, 99, 99.9, 100)
        },
        "dropped": dropped,
        "errors_logged": errors,
        **account(calls, bench.sent),
        "looks": [[round(k.at), round(k.megabytes, 1), k.threads] for k in bench.looks[::12]],
    }  # fmt: skip


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [
        "{minutes:g} minutes, lanes {lanes}; {cores} cores, load {load[mean]} on average, "
        "{load[most]} at most".format_map(result),
        "calls {calls}, failed {failed}, endings {endings}".format_map(result),
        f"{'':12}{'first':>9}{'last':>9}{'most':>9}{'an hour':>9}{'at rest':>9}",
    ]
    row = "{0:12}{first:>9}{last:>9}{most:>9}{per_hour:>+9}{at_rest:>9.5g}"
    lines += [row.format(name, **result[name]) for name in ("megabytes", "threads", "files")]
    lines += [
        "event loop late by, ms: {loop_lag_milliseconds}".format_map(result),
        "sent {sent_seconds} s; accounted for {seconds}, lost {lost_by_reason}; a call is off by "
        "{off_median:+} s (median), {off_most} s (at most)".format_map(result),
        f"off by more than {TOLERANCE:g} s: {result['calls_off_by_more']}; "
        f"dropped {result['dropped']}; errors logged: {result['errors_logged']}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument(
        "--lanes", nargs="+", choices=LANES, default=LANES,
        help="calls at the same time; may be named again",
    )  # fmt: skip
    arguments.add_argument("--shortest", type=float, default=15.0, help="seconds of a call")
    arguments.add_argument("--longest", type=float, default=90.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", type=Path, help="also write the result here")
    chosen = arguments.parse_args()
    lanes = tuple(chosen.lanes)
    plan = Plan(chosen.minutes * 60, lanes, chosen.shortest, chosen.longest, chosen.seed)
    result = measure(plan)
    print(table(result))
    print(json.dumps(result))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
