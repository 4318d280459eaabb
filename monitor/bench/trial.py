"""So many calls for a while: do they hold the objectives, and what do they cost?"""

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from monitor.bench.process import (
    BenchError,
    Child,
    cpu_by_thread,
    cpu_seconds,
    resident_megabytes,
)

LATENCY = 0.25
"""Seconds from the end of a voice window to its verdict, 95th percentile. What alerts are raised
by; a face window is known to be over only with the next picture, a fifth of a second later."""
LOOP_LAG = 0.05
"""Seconds by which the event loop is late, 99th percentile."""
_READY = 90.0
_LATE = 3.0
"""Seconds after its end by which a window must have been heard of to count."""
_RECOVERS = 30.0
"""Seconds for which video that a trial before has thinned may take to be restored."""
_FIRST = 4
"""Call seconds after which windows come without exception."""
_UNSEEN = frozenset({"fault", "gap", "not_evaluated"})
"""Abstentions by which the monitor, not the call, is to blame."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was measured of one number of calls."""

    calls: int
    broken: tuple[str, ...]
    """Objectives that did not hold, in words; empty if all did."""
    windows: int
    latency: Mapping[str, float]
    """p50, p95 and max seconds from the departure of a voice window's last packet to its verdict;
    `face_p95`: the same of face windows."""
    loop_lag_p99: float
    """Upper limit of the histogram's bucket, seconds; 0 without calls."""
    cores: float
    """Used by the service."""
    caller_cores: float
    """Used by the callers and what listens to verdicts: not the service's."""
    megabytes: float
    """Resident memory of the service at the end."""
    threads: Mapping[str, float]
    """CPU milliseconds per call-second by kind of thread."""
    stages: Mapping[str, float]
    """The same of inference threads by step."""

    @property
    def holds(self) -> bool:
        """Whether every objective was met."""
        return not self.broken

    @property
    def cost(self) -> float:
        """CPU milliseconds of the service per call-second."""
        return 1000 * self.cores / self.calls


@dataclass(slots=True)
class Windows:
    """Listens to a service's windows in a thread of its own."""

    url: str
    token: str
    heard: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """Monotonic seconds of arrival, and the event."""
    missed: bool = False

    def start(self) -> None:
        """Listen until the service ends."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(headers=headers, timeout=None, trust_env=False) as client:
            try:
                where = f"{self.url}api/v1/events"
                with client.stream("GET", where, params={"events": "window"}) as stream:
                    for line in stream.iter_lines():
                        if not line.startswith("data: "):
                            continue
                        event = json.loads(line[6:])
                        if "missed" in event:
                            self.missed = True
                        else:
                            self.heard.append((time.monotonic(), event))
            except httpx.HTTPError:
                self.missed = True


class Bench:
    """A service, or what stands in for it, and the callers' processes."""

    def __init__(
        self, service: Child, url: str, token: str, callers: Sequence[Child], real: bool
    ) -> None:
        """Without `real` only cost is measured: what stands in has no verdicts and metrics."""
        self._service = service
        self._callers = callers
        self._real = real
        self._began: dict[str, float] = {}
        """Of the calls in progress, by id or label."""
        self._order: list[list[str]] = [[] for _ in callers]
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)
        self._windows = Windows(url, token)
        if real:
            self._windows.start()

    def trial(self, calls: int, settle: float, seconds: float, spread: float) -> Trial:
        """Have so many calls, whose starts are `spread` seconds apart in all, and measure."""
        errors = self._become(calls, spread)
        time.sleep(settle)
        self._recover()
        self._windows.heard.clear()
        self._windows.missed = False
        before, began = self._account(), time.monotonic()
        time.sleep(seconds)
        after, ended = self._account(), time.monotonic()
        wall = ended - began
        scale = 1000 / (wall * max(calls, 1))
        broken = list(errors)
        latency: dict[str, float] = {}
        windows, lag = 0, 0.0
        if self._real and calls:
            time.sleep(_LATE)
            windows, latency, faults = self._heard(began, ended)
            lag = _quantile(before["samples"], after["samples"], "monitor_loop_lag_seconds", 0.99)
            broken += faults
            if latency.get("p95", math.inf) > LATENCY:
                broken.append(f"latency p95 {latency.get('p95', math.inf):.3f} s > {LATENCY} s")
            if lag > LOOP_LAG:
                broken.append(f"loop lag p99 {lag:.3f} s > {LOOP_LAG} s")
            broken += _dropped(before["samples"], after["samples"])
        return Trial(
            calls=calls,
            broken=tuple(broken),
            windows=windows,
            latency=latency,
            loop_lag_p99=lag,
            cores=(after["cpu"] - before["cpu"]) / wall,
            caller_cores=(after["callers"] - before["callers"]) / wall,
            megabytes=after["megabytes"],
            threads={
                name: scale * max(0.0, spent - before["threads"].get(name, 0.0))
                for name, spent in sorted(after["threads"].items())
            },
            stages={
                name.partition('"')[2].partition('"')[0]: scale
                * (value - before["samples"].get(name, 0.0))
                for name, value in sorted(after["samples"].items())
                if name.startswith("monitor_cpu_seconds_total{")
            },
        )

    def _recover(self) -> None:
        """Wait for the governor to be at ease: what a trial before did to it is no finding."""
        until = time.monotonic() + _RECOVERS
        while self._real and time.monotonic() < until:
            if not self._account()["samples"].get("monitor_governor_level"):
                return
            time.sleep(1.0)

    def _become(self, calls: int, spread: float) -> list[str]:
        """Begin or end calls, the same number in each process; return what went wrong."""
        errors: list[str] = []
        shares = [(calls + i) // len(self._callers) for i in range(len(self._callers))]
        fresh = max(1, calls - sum(map(len, self._order)))
        for child, share in zip(self._callers, shares, strict=True):
            child.tell({"calls": share, "every": spread * len(self._callers) / fresh})
        for child, share, order in zip(self._callers, shares, self._order, strict=True):
            while "ready" not in (said := json.loads(child.line(_READY + spread))):
                if "error" in said:
                    errors.append(f"a call was not taken: {said['error']}")
                else:
                    order.append(said["call"] or said["label"])
                    self._began[order[-1]] = said["began"]
            for gone in order[share:]:
                del self._began[gone]
            del order[share:]
        return errors

    def _account(self) -> dict[str, Any]:
        samples: dict[str, float] = {}
        if self._real:
            for line in self._http.get("/metrics").text.splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    samples[name] = float(value)
        own = time.process_time()
        return {
            "cpu": cpu_seconds(self._service.pid),
            "threads": cpu_by_thread(self._service.pid),
            "callers": own + sum(cpu_seconds(child.pid) for child in self._callers),
            "megabytes": resident_megabytes(self._service.pid),
            "samples": samples,
        }

    def _heard(self, began: float, ended: float) -> tuple[int, dict[str, float], list[str]]:
        """How many windows of the interval were heard of, how late, and what is wrong."""
        names = self._names()
        got: dict[tuple[str, str, int], float] = {}
        blamed: set[str] = set()
        detectors: dict[str, set[str]] = {}
        for at, event in self._windows.heard:
            name, detector = names.get(event["call"], ""), event["detector"]
            if detector not in ("voice", "face") or name not in self._began:
                continue
            detectors.setdefault(detector, set()).add(name)
            end = round(event["end"])
            if abs(event["end"] - end) < 0.01:
                got.setdefault((name, detector, end), at)
            if event.get("lost"):
                blamed |= {f"{detector}: lost, {gap['reason']}" for gap in event["lost"]}
            if event.get("abstained") in _UNSEEN:
                blamed.add(f"{detector}: {event['abstained']}")
        due = [
            (name, detector, end)
            for detector in detectors
            for name, at in self._began.items()
            for end in range(
                max(_FIRST, math.ceil(began - at)), math.ceil(ended - at)
            )
        ]  # fmt: skip
        missing = sum(window not in got for window in due)
        if missing or self._windows.missed or not due:
            blamed.add(f"{missing} of {len(due)} windows without an outcome"
                       + (", events missed" if self._windows.missed else ""))  # fmt: skip
        late = {
            detector: sorted(
                got[w] - self._began[w[0]] - w[2] for w in due if w in got and w[1] == detector
            )
            for detector in detectors
        }
        ranks = {"p50": ("voice", 0.5), "p95": ("voice", 0.95), "max": ("voice", 1.0)}
        ranks["face_p95"] = ("face", 0.95)
        latency = {
            name: late[detector][max(0, math.ceil(share * len(late[detector])) - 1)]
            for name, (detector, share) in ranks.items()
            if late.get(detector)
        }
        return len(due), latency, sorted(blamed)

    def _names(self) -> dict[str, str]:
        """What calls are called in `_began`, by the service's id."""
        names = {name: name for name in self._began}
        active = self._http.get("/api/v1/calls", params={"active": True, "limit": 1000}).json()
        return names | {c["id"]: c["label"] for c in active if c["label"] in self._began}


def _dropped(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    found = []
    for name, value in after.items():
        more = value - before.get(name, 0.0)
        if name.startswith("monitor_dropped_total") and more > 0:
            found.append(f"{more:g} dropped: {name.partition('=')[2].strip('}')}")
    return found


def _quantile(
    before: Mapping[str, float], after: Mapping[str, float], family: str, share: float
) -> float:
    """Upper limit of the bucket that holds the quantile of what came in between."""
    start = f'{family}_bucket{{le="'
    counts = {
        float(name[len(start) :].partition('"')[0]): value - before.get(name, 0.0)
        for name, value in after.items()
        if name.startswith(start)
    }
    if not counts:
        raise BenchError(f"the service has no {family}")
    total = counts[math.inf]
    return next((le for le in sorted(counts) if counts[le] >= share * total), math.inf)
