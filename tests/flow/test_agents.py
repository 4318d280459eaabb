"""The example for voice agents, in the frameworks as they are published; no server of theirs.

The frameworks come into a folder of their own, without the half gigabyte that only their other
services need, and run in processes of their own beside what the tests have.
"""

import asyncio
import fcntl
import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.calls.stages import Stages
from monitor.types import LostReason
from tests.fakes import stages
from tests.flow.test_telephony import rig
from tests.zoom import until

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "tests" / "agents.txt").read_text().split()
DEADLINE = 600

PIPECAT = """
import asyncio, json, sys, time
import numpy as np
from loguru import logger
logger.remove()
from pipecat.frames.frames import EndFrame, InputAudioRawFrame, UserAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner
from deepfake_monitor_agents.pipecat import LISTENING
from deepfake_monitor_agents.pipecat import DeepfakeMonitorFrame, DeepfakeMonitorProcessor

url, token, task = sys.argv[1:4]
noise = np.random.default_rng(0).standard_normal(16_000) * 8000
noise = noise.clip(-32000, 32000).astype("<i2")

def say(*words):
    print(json.dumps(words), flush=True)

class Behind(FrameProcessor):
    sounds = 0
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.sounds += 1
        if isinstance(frame, DeepfakeMonitorFrame):
            say("frame", frame.kind, frame.participant, frame.data)
        await self.push_frame(frame, direction)

def made(**options):
    monitor, behind = DeepfakeMonitorProcessor(url=url, token=token, call="hotline"), Behind()
    for kind in ("alert", "refused"):
        async def on(processor, participant, data, kind=kind):
            say("handler", kind, participant, data)
        monitor.add_event_handler(f"on_{kind}", on)
    return PipelineWorker(Pipeline([monitor, behind]), **options), behind

async def speak(worker, seconds, go_on=lambda: True):
    began = time.monotonic()
    for index in range(round(50 * seconds)):
        if not go_on():
            return
        await asyncio.sleep(began + index / 50 - time.monotonic())
        at = 320 * (index % 50)
        sound = dict(audio=noise[at : at + 320].tobytes(), sample_rate=16000, num_channels=1)
        await worker.queue_frame(UserAudioRawFrame(user_id="ann", **sound))

async def run(worker):
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()

async def heard():
    worker, behind = made(idle_timeout_frames=LISTENING)
    running = asyncio.create_task(run(worker))
    await speak(worker, 8)
    await worker.queue_frame(EndFrame())
    await running
    say("passed on", behind.sounds)

async def idle():
    # Both hear somebody all the time, and both are refused by the monitor.
    plain, _ = made(idle_timeout_secs=5)
    listening, _ = made(idle_timeout_secs=5, idle_timeout_frames=LISTENING)
    first, second = asyncio.create_task(run(plain)), asyncio.create_task(run(listening))
    speaking = [
        asyncio.create_task(speak(worker, 500, lambda: not first.done()))
        for worker in (plain, listening)
    ]
    await first
    say("plain ended", "listening", "ended" if second.done() else "goes on")
    await asyncio.gather(*speaking)
    await listening.queue_frame(EndFrame())
    await second

asyncio.run({"heard": heard, "idle": idle}[task]())
"""

LIVEKIT = """
import asyncio, json, sys, time
from types import SimpleNamespace
import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, Plugin
from livekit.agents.voice.io import AudioInput
from livekit.plugins import deepfake_monitor

url, token = sys.argv[1:3]
noise = np.random.default_rng(0).standard_normal(48_000) * 8000
noise = noise.clip(-32000, 32000).astype("<i2")

def say(*words):
    print(json.dumps(words), flush=True)

def piece(index):
    at = 960 * (index % 50)
    return rtc.AudioFrame(noise[at : at + 960].tobytes(), 48_000, 1, 960)

class Caller(AudioInput):
    def __init__(self):
        super().__init__(label="caller")
        self.index, self.began = 0, time.monotonic()
        self.over = asyncio.Event()
    async def __anext__(self):
        if self.index == 50 * 8:
            self.over.set()
            raise StopAsyncIteration
        await asyncio.sleep(self.began + self.index / 50 - time.monotonic())
        self.index += 1
        return piece(self.index)

async def session(monitor):
    talk, caller = AgentSession(), Caller()
    talk.input.audio = monitor.listen(caller, "ann")
    await talk.start(Agent(instructions="listen"))
    await caller.over.wait()
    await talk.aclose()

async def room(monitor):
    # A real room that is connected to nothing, and a real track; what the server says is played.
    place = rtc.Room()
    monitor.watch(place)
    source = rtc.AudioSource(48_000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    who = SimpleNamespace(identity="bob")
    publication = SimpleNamespace(source=rtc.TrackSource.SOURCE_MICROPHONE, track=track)
    screen = SimpleNamespace(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO, track=track)
    place.emit("track_subscribed", track, screen, SimpleNamespace(identity="screen"))
    place.emit("track_subscribed", track, publication, who)
    began = time.monotonic()
    for index in range(50 * 8):
        await asyncio.sleep(began + index / 50 - time.monotonic())
        await source.capture_frame(piece(index))
    place.emit("track_muted", who, publication)
    await asyncio.sleep(1.5)
    place.emit("track_unmuted", who, publication)
    place.emit("track_unsubscribed", track, publication, who)

async def main():
    monitor = deepfake_monitor.DeepfakeMonitor(url=url, token=token, call="hotline")
    for kind in ("verdict", "alert", "refused"):
        monitor.on(kind, lambda e: say("event", e.kind, e.participant, e.data))
    say("plugins", [plugin.title for plugin in Plugin.registered_plugins])
    await asyncio.gather(session(monitor), room(monitor))
    await monitor.aclose()

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def frameworks() -> Path:
    """Made once, for whichever process of the tests comes first."""
    chosen = hashlib.sha256("".join(PACKAGES).encode() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / "build" / "agents" / chosen
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
            install += ["--disable-pip-version-check", "--no-deps", "--ignore-installed"]
            subprocess.run(
                [*install, "--prefix", str(folder), *PACKAGES], check=True, timeout=DEADLINE
            )
            (folder / "made").touch()
    (found,) = folder.glob("lib*/python*/site-packages")
    return found


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


async def ran(program: str, frameworks: Path, url: str, token: str, task: str) -> list[Any]:
    """What a process says that runs an agent."""
    path = os.pathsep.join([str(frameworks), str(ROOT / "examples" / "agents")])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, url, token, task,
        env={**os.environ, "PYTHONPATH": path}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return [json.loads(line) for line in said.decode().splitlines()]


async def test_a_pipecat_pipeline_hears_its_verdicts(parts: Stages, frameworks: Path) -> None:
    async with rig(parts) as found:
        said = await ran(PIPECAT, frameworks, f"ws://{found.host}", "both", "heard")
        call = await found.over()
    assert ["passed on", 400] in said
    assert (call.ingest, call.label, call.ended) == ("pcm", "hotline", "ended")
    ((tracks, verdict),) = call.participants
    assert verdict is not None
    assert tracks.participant == "ann"
    frames = [x for x in said if x[0] == "frame"]
    assert {x[2] for x in frames} == {"ann"}
    assert [x[3]["state"] for x in frames if x[1] == "call"] == ["started", "ended"]
    last = [x[3] for x in frames if x[1] == "verdict"][-1]
    assert last["seconds"]["scored"] == pytest.approx(verdict.seconds.scored, abs=0.01)
    raised = [x[3] for x in said if x[:2] == ["handler", "alert"]]
    assert [a["action"] for a in raised][:1] == ["raised"]
    assert raised[0]["call"] == call.id


async def test_a_pipeline_that_only_listens_goes_on_even_if_it_is_refused(
    parts: Stages, frameworks: Path
) -> None:
    async with rig(parts) as found:
        said = await ran(PIPECAT, frameworks, f"ws://{found.host}", "good", "idle")
        assert not list(found.registry)
    assert ["plain ended", "listening", "goes on"] in said
    refused = [x[3]["detail"] for x in said if x[:2] == ["handler", "refused"]]
    assert refused == 2 * ["403 Authorization: the token lacks scope 'read'"]


async def test_a_livekit_agent_hears_its_verdicts(parts: Stages, frameworks: Path) -> None:
    async with rig(parts) as found:
        said = await ran(LIVEKIT, frameworks, f"ws://{found.host}", "both", "")
        await found.over()
        calls = list(found.registry)
    assert ["plugins", ["livekit.plugins.deepfake_monitor"]] in said
    people = {}
    for call in calls:
        assert (call.ingest, call.label, call.ended) == ("pcm", "hotline", "ended")
        ((tracks, verdict),) = call.participants
        assert verdict is not None
        people[tracks.participant] = LostReason.PAUSED in verdict.seconds.lost
    assert people == {"ann": False, "bob": True}
    for who in people:
        kinds = {x[1] for x in said if x[0] == "event" and x[2] == who}
        assert kinds == {"verdict", "alert"}


async def test_a_stream_of_an_agent_outlives_the_monitor(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client alone: it needs no framework."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "agents")
    stream = importlib.import_module("deepfake_monitor_agents.stream")
    heard: list[Any] = []
    async with rig(parts, limit=0) as full:
        where = stream.Monitor(f"ws://{full.host}", "both")
        one = stream.ParticipantStream(where, "ann", 16_000, 1, heard.append)
        await asyncio.sleep(0.3)
        # Full is not refused for good; meanwhile it forgets what is too old.
        for _ in range(400):
            one.feed(bytes(640))
        assert one.dropped == pytest.approx(3.0)
        assert not heard
    async with rig(parts) as found:
        one._url = one._url.replace(full.host, found.host)
        await until(lambda: bool(heard))
        first = heard[0].data["call"]
        await found.registry.stop(first)
        # An operator stopped it: the client does not come back by itself.
        await until(lambda: one._running.done())
        await one.close()
        assert [c.ended for c in found.registry] == ["stopped"]
    assert {e.kind for e in heard} <= {"call", "verdict"}
