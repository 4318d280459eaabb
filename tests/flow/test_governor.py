"""An overloaded process sheds video, keeps the voice, takes no call, and recovers."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from monitor.calls.admission import CapacityError, Level
from monitor.calls.governor import Governor, GovernorOptions
from monitor.calls.registry import Registry
from monitor.delivery.fanout import Fanout
from monitor.inference.catalogue import default_folder
from monitor.inference.executor import Executor
from monitor.metrics.sink import Metrics
from monitor.service.judges import load_landmarker
from monitor.types import (
    Abstention,
    AbstentionReason,
    AudioFrame,
    Outcome,
    Reading,
    Score,
    Tracks,
    VideoFrame,
)
from monitor.types.protocols import Intake
from monitor.types.sampling import Sampling
from tests.fakes import MemorySink, ScriptedSource, stages
from tests.flow.test_faces import picture, scene

OVERLOAD = (1.0, 5.0)
"""Call seconds between which there is more work than a thread can do."""
SECONDS = 13.0
OPTIONS = GovernorOptions(loop_lag=5.0, inference_wait=0.15, rise_after=0.5, recover_after=1.0)


class Anna:
    """A live caller in real time; like a decoder, she leaves pictures out where only key frames
    are wanted."""

    ingest = "rtsp"
    live = True

    async def run(self, intake: Intake) -> str:
        await intake.put(Tracks("anna", audio=True, video=True))
        image = scene(picture("astronaut.png"), 60, 0)
        began = time.monotonic() - intake.now()
        for step in range(round(SECONDS * 10)):
            at = step / 10
            await asyncio.sleep(began + at + 0.1 - time.monotonic())
            # No constant: that is no sound.
            sound = 0.1 * np.sign(np.sin(np.arange(1600) * 0.2)).astype(np.float32)
            await intake.put(AudioFrame("anna", at, sound))
            if step % 2 == 0 and intake.key_frames is None:
                await intake.put(VideoFrame("anna", at, image))
        return "ended"


class StillCue:
    """A cue that can always be measured."""

    name = "still"
    model = "none"

    def measure(self, window: object) -> Reading:
        return Reading(0.0)


def of(sink: MemorySink, detector: str) -> list[Outcome]:
    return [o for o in sink.outcomes if o.detector == detector]


def unseen(outcomes: list[Outcome]) -> list[Outcome]:
    return [
        o
        for o in outcomes
        if isinstance(o, Abstention) and o.reason is AbstentionReason.NOT_EVALUATED
    ]


async def test_overload_sheds_video_first_and_says_so() -> None:
    parts = stages(threads=1)
    parts = replace(
        parts,
        landmarker=load_landmarker(default_folder()),
        judges=replace(parts.judges, cues=(StillCue(),)),
        sampling=Sampling(burst_seconds=10.0, burst_every=10.0),
    )
    sink, metrics = MemorySink(), Metrics()
    governor = Governor(5, OPTIONS, lambda level: registry.govern(level))
    registry = Registry(parts, Fanout([sink, metrics]), metrics, governor)
    call = registry.start(Anna(), "anna")
    governing = asyncio.create_task(governor.run(parts.executor.lateness, lambda _: None))

    await asyncio.sleep(OVERLOAD[0])
    busy = [asyncio.create_task(_work(parts.executor)) for _ in range(8)]
    levels = []
    while registry.level < Level.KEY_FRAMES:
        await asyncio.sleep(0.02)
        levels.append(registry.level)
    # Step by step, none left out.
    assert sorted(set(levels)) == list(Level)
    assert levels == sorted(levels)
    with pytest.raises(CapacityError, match="governor") as refused:
        registry.start(ScriptedSource(), "next")
    assert refused.value.reason == "overload"
    assert registry.free == 0
    await asyncio.sleep(OVERLOAD[1] - OVERLOAD[0] - 1.5)
    for task in busy:
        task.cancel()
    async with asyncio.timeout(120):
        while registry.level > Level.FULL:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert registry.free == 4
    await registry.wait(call)
    governing.cancel()
    parts.executor.close()

    voice = of(sink, "voice")
    assert all(isinstance(o, Score) and not o.lost for o in voice), voice
    assert sum(o.fresh.duration for o in voice) == pytest.approx(SECONDS, abs=0.2)
    face = of(sink, "face")
    left_out = unseen(face)
    assert left_out, face
    assert all(o.details["governor_level"] == Level.KEY_FRAMES for o in left_out)
    # Not lost: it came. And every second is in exactly one window.
    assert not any(o.lost for o in face)
    assert sum(o.fresh.duration for o in face) == pytest.approx(SECONDS, abs=0.4)
    assert face[-1] not in left_out
    cue = of(sink, "still")
    assert unseen(cue)
    assert sum(o.fresh.duration for o in cue) == pytest.approx(SECONDS, abs=0.4)
    value = metrics.registry.get_sample_value
    labels = {"detector": "face", "outcome": "abstained", "reason": "not_evaluated"}
    assert value("monitor_seconds_total", labels) == pytest.approx(
        sum(o.fresh.duration for o in left_out)
    )
    assert value("monitor_calls_refused_total", {"ingest": "file", "reason": "overload"}) == 1
    assert value("monitor_governor_level") == 0


async def _work(executor: Executor) -> None:
    while True:
        await executor.run("cues", lambda: time.sleep(0.05))
