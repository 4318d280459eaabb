"""One kind of call, taken to the limit of this machine, beside what only decodes."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monitor.bench.callers import Way
from monitor.bench.media import AudioCodec, VideoCodec, encode
from monitor.bench.process import Child, resident_megabytes
from monitor.bench.search import Found, search
from monitor.bench.trial import Bench, Trial


@dataclass(frozen=True, slots=True)
class Kind:
    """What callers send, and how."""

    name: str
    title: str
    way: Way
    audio: AudioCodec
    video: VideoCodec | None = None
    height: int = 480
    processes: int = 1
    """Of callers: one must not be the bottleneck."""
    settings: str = ""
    """What differs from the defaults, in TOML."""

    @property
    def spread(self) -> float:
        """Seconds over which calls begin: with video a period of bursts, so that these come as
        they do where calls begin at any time."""
        return 30.0 if self.video else 5.0

    @property
    def seconds(self) -> float:
        """Of measurement: with video a whole period of bursts."""
        return 30.0 if self.video else 12.0


KINDS = (
    Kind("voice-websocket", "voice, telephony WebSocket (G.711)", "websocket", "pcmu"),
    Kind("voice-webrtc", "voice, WebRTC (Opus)", "webrtc", "opus"),
    Kind("av-rtsp", "640x480@30 and voice, RTSP (H.264, G.711)", "rtsp", "pcmu", "h264"),
    Kind(
        "av-rtsp-no-cues", "640x480@30 and voice, RTSP, without cues", "rtsp", "pcmu", "h264",
        settings="[video]\nburst_seconds = 0\n",
    ),
    Kind("av-webrtc", "640x480@30 and voice, WebRTC (VP8, Opus)", "webrtc", "opus", "vp8"),
    Kind("av720-rtsp", "1280x720@30 and voice, RTSP (H.264, G.711)", "rtsp", "pcmu", "h264", 720),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how far."""

    seconds: float | None = None
    """Of measurement in one trial; None as the kind says."""
    settle: float = 4.0
    most: int = 400
    """Calls, at most."""
    spread: float = 1.0
    """Share of a kind's own spread of starts."""
    floor_calls: int = 6
    film: float = 20.0
    """Seconds of the film that callers repeat."""


SMOKE = Plan(seconds=2.5, settle=4.5, most=1, spread=0.0, floor_calls=1, film=3.0)
"""Shows that everything works; its figures are not to be quoted."""


@dataclass(frozen=True, slots=True)
class Result:
    """One kind of call on this machine."""

    kind: Kind
    found: Found
    at_80: Trial | None
    """At four fifths of the limit."""
    idle_megabytes: float
    floor: Trial

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        best = self.best
        return {
            **asdict(self.kind),
            "limit": self.found.limit,
            "failing": self.found.failing,
            "calls_per_core": None if best is None else best.calls / best.cores,
            "cost": None if best is None else best.cost,
            "floor_cost": self.floor.cost,
            "floor_ratio": None if best is None else best.cost / self.floor.cost,
            "idle_megabytes": self.idle_megabytes,
            "megabytes_per_call": self.megabytes_per_call,
            "at_80": None if self.at_80 is None else asdict(self.at_80),
            "floor": asdict(self.floor),
            "trials": [asdict(trial) | {"cost": trial.cost} for trial in self.found.trials],
        }

    @property
    def best(self) -> Trial | None:
        """The trial of the limit."""
        held = [t for t in self.found.trials if t.calls == self.found.limit and t.holds]
        return held[-1] if held else None

    @property
    def megabytes_per_call(self) -> float | None:
        """From one call to the limit; None where there is nothing in between."""
        first, best = self.found.trials[0], self.best
        if best is None or best.calls <= first.calls:
            return None
        return (best.megabytes - first.megabytes) / (best.calls - first.calls)


def measure(kind: Kind, film: Path, folder: Path, plan: Plan, say: Callable[[str], None]) -> Result:
    """Take one kind to its limit; raises BenchError and FilmError."""
    folder.mkdir(parents=True, exist_ok=True)
    media = folder / "media"
    encode(film, kind.audio, kind.video, kind.height, plan.film).save(media)
    spread, seconds = plan.spread * kind.spread, plan.seconds or kind.seconds
    with _service(kind, folder, media, real=True) as (bench, idle):

        def attempt(calls: int) -> Trial:
            trial = bench.trial(calls, plan.settle, seconds, spread)
            say(f"{kind.name}: {calls} calls, {trial.cost:.1f} ms each: "
                + ("held" if trial.holds else "; ".join(trial.broken)))  # fmt: skip
            return trial

        found = search(attempt, len(os.sched_getaffinity(0)), plan.most)
        most = round(0.8 * found.limit)
        at_80 = attempt(most) if most >= 1 and plan is not SMOKE else None
    with _service(kind, folder, media, real=False) as (bench, _):
        floor = bench.trial(plan.floor_calls, plan.settle, seconds / 2, spread / 5)
        say(f"{kind.name}: decode only, {floor.cost:.1f} ms each")
    return Result(kind, found, at_80, idle, floor)


@contextmanager
def _service(kind: Kind, folder: Path, media: Path, real: bool) -> Iterator[tuple[Bench, float]]:
    """The service on a free port, or what only decodes, with callers; and its idle memory."""
    token = secrets.token_urlsafe(16)
    settings = folder / "settings.toml"
    settings.write_text(
        f'state_dir = "{folder / "var"}"\nlog_level = "warning"\n[limits]\ncalls = 1000\n'
        # Soon at ease again after a trial that was too much; thinning fails a trial all the same.
        f"[governor]\nrecover_after = 2.0\n{kind.settings}"
    )
    with ExitStack() as stack:
        if real:
            arguments = ["serve", "--port", "0", "--settings", str(settings)]
            log = folder / "service.log"
            service = stack.enter_context(Child("monitor", arguments, log, MONITOR_TOKEN=token))
        else:
            service = stack.enter_context(Child("monitor.bench.floor", [], folder / "floor.log"))
        url = service.listening()
        idle = resident_megabytes(service.pid)
        callers = [
            stack.enter_context(
                Child("monitor.bench.callers", [url, token, kind.way, str(media)],
                      folder / f"callers-{number}.log")
            )
            for number in range(kind.processes)
        ]  # fmt: skip
        yield Bench(service, url, token, callers, real), idle
