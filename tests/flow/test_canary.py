"""Known recordings go through the live path now and then; who decided them wrongly is shown."""

import asyncio
import math
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from monitor.calls.stages import Judges
from monitor.detectors.face import FaceDetector
from monitor.ingest.recording.file_source import FileSource
from monitor.metrics.sink import Metrics
from monitor.service.app import Service
from monitor.service.canary import Canary, Kind
from monitor.settings import SettingsError, load
from monitor.types import AbstentionReason, AlertType, AudioWindow
from monitor.types.protocols import Intake, Source
from monitor.types.sampling import Sampling
from tests.fakes import POLICY, BrokenDetector, LevelDetector, ScriptedSource, noise, stages
from tests.models import write_models

QUIET, LOUD = 0.03, 0.3


def write_wav(path: Path, seconds: float, level: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        samples = np.clip(noise(0, seconds, level).samples, -1, 1)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def files(tmp_path: Path) -> Mapping[Kind, Path]:
    return {
        Kind.GENUINE: write_wav(tmp_path / "genuine.wav", 12, QUIET),
        Kind.FAKE: write_wav(tmp_path / "fake.wav", 12, LOUD),
    }


def open_file(path: Path) -> Source:
    return FileSource(path, "canary", Sampling(), 1280)


class Rig:
    """A canary around a detector, and what it exports."""

    def __init__(
        self,
        files: Mapping[Kind, Path],
        detector: LevelDetector | None = None,
        challenger: Judges | None = None,
        every: float = 3600.0,
        open_source: Callable[[Path], Source] = open_file,
    ) -> None:
        self.now = 1000.0
        self.metrics = Metrics()
        self.stages = stages(detector, challenger=challenger)
        self.canary = Canary(files, every, open_source, self.stages, self.metrics, lambda: self.now)

    def value(self, name: str, kind: Kind) -> float | None:
        return self.metrics.registry.get_sample_value(f"monitor_canary_{name}", {"kind": kind})


class Inverted(LevelDetector):
    """A detector that has it the wrong way round."""

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        return [r if isinstance(r, AbstentionReason) else -r for r in super().judge(windows)]


async def test_a_detector_that_works_is_ok(files: Mapping[Kind, Path]) -> None:
    rig = Rig(files)
    assert rig.value("state_ok", Kind.GENUINE) is None
    with capture_logs() as logs:
        for kind in files:
            assert (await rig.canary.check(kind)).ok
            assert rig.value("state_ok", kind) == 1
    assert [line for line in logs if line["log_level"] == "warning"] == []
    genuine, fake = rig.value("llr", Kind.GENUINE), rig.value("llr", Kind.FAKE)
    assert genuine is not None
    assert fake is not None
    assert genuine < 0 < fake
    rig.stages.executor.close()


async def test_a_detector_that_fails_is_seen_on_both_sides(files: Mapping[Kind, Path]) -> None:
    rig = Rig(files, Inverted())
    with capture_logs() as logs:
        for kind in files:
            await rig.canary.check(kind)
            assert rig.value("state_ok", kind) == 0
    warned = [(line["kind"], line["detail"]) for line in logs if "not ok" in line["event"]]
    assert warned == [
        (Kind.GENUINE, "a genuine recording ended as alert"),
        (Kind.FAKE, "a fake recording ended as normal"),
    ]
    rig.stages.executor.close()


async def test_no_call_is_counted_and_no_challenger_asked(files: Mapping[Kind, Path]) -> None:
    challenger = Judges(BrokenDetector(), FaceDetector(), {AlertType.VOICE: POLICY})
    rig = Rig(files, challenger=challenger)
    for kind in files:
        assert (await rig.canary.check(kind)).ok
    started = rig.metrics.registry.get_sample_value(
        "monitor_calls_started_total", {"ingest": "file"}
    )
    assert started is None
    assert rig.metrics.registry.get_sample_value("monitor_window_level_dbfs_count") == 0
    rig.stages.executor.close()


async def test_what_cannot_be_replayed_is_not_ok(tmp_path: Path) -> None:
    short = write_wav(tmp_path / "short.wav", 4, QUIET)
    text = tmp_path / "text.wav"
    text.write_text("not a recording")
    gone = tmp_path / "gone.wav"
    for path, detail in [
        (short, "too little speech"),
        (text, "not a media file"),
        (gone, "no such file"),
    ]:
        rig = Rig({Kind.GENUINE: path})
        finding = await rig.canary.check(Kind.GENUINE)
        assert not finding.ok
        assert detail in finding.detail
        assert rig.value("state_ok", Kind.GENUINE) == 0
        rig.stages.executor.close()


async def test_a_broken_detector_is_not_a_clear_genuine_call(files: Mapping[Kind, Path]) -> None:
    rig = Rig(files, BrokenDetector())
    finding = await rig.canary.check(Kind.GENUINE)
    assert not finding.ok
    assert math.isnan(finding.llr)
    rig.stages.executor.close()


async def test_a_fault_in_the_replay_ends_nothing(files: Mapping[Kind, Path]) -> None:
    def broken(path: Path) -> Source:
        raise RuntimeError("broken on purpose")

    rig = Rig(files, open_source=broken)
    finding = await rig.canary.check(Kind.FAKE)
    assert (finding.ok, finding.detail) == (False, "the replay failed")
    rig.now += 50
    assert rig.value("age_seconds", Kind.FAKE) == 50
    rig.stages.executor.close()


async def test_a_replay_that_hangs_is_given_up(
    files: Mapping[Kind, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(ScriptedSource):
        async def run(self, intake: Intake) -> str:
            await asyncio.Event().wait()
            return "never"

    monkeypatch.setattr("monitor.service.canary.DEADLINE", 0.1)
    rig = Rig(files, open_source=lambda path: Hanging())
    finding = await rig.canary.check(Kind.FAKE)
    assert not finding.ok
    assert "not done" in finding.detail
    rig.stages.executor.close()


async def test_it_comes_again_and_its_age_is_known(files: Mapping[Kind, Path]) -> None:
    opened: list[str] = []

    def noting(path: Path) -> Source:
        opened.append(path.name)
        return open_file(path)

    rig = Rig(files, every=0.05, open_source=noting)
    rig.now += 7
    assert rig.value("age_seconds", Kind.GENUINE) == 7
    task = asyncio.create_task(rig.canary.run())
    async with asyncio.timeout(120):
        while len(opened) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert opened[:4] == ["genuine.wav", "fake.wav", "genuine.wav", "fake.wav"]
    assert rig.value("age_seconds", Kind.GENUINE) == 0
    rig.now += 3
    assert rig.value("age_seconds", Kind.FAKE) == 3
    rig.stages.executor.close()


async def test_without_files_there_is_none() -> None:
    rig = Rig({})
    await asyncio.wait_for(rig.canary.run(), 1)
    assert rig.value("age_seconds", Kind.GENUINE) is None
    rig.stages.executor.close()


async def test_the_service_replays_it_and_counts_no_call(
    tmp_path: Path, files: Mapping[Kind, Path]
) -> None:
    models = write_models(tmp_path / "models")
    settings = load(
        None, state_dir=tmp_path / "var", models_dir=models, canary={"fake": files[Kind.FAKE]}
    )
    service = Service(settings)
    value = service.metrics.registry.get_sample_value
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(service.app), base_url="http://monitor"
        ) as client,
        asyncio.timeout(120),
    ):
        while value("monitor_canary_state_ok", {"kind": "fake"}) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert (await client.get("/readyz")).json()["free_slots"] == settings.limits.calls
    # Noise is not speech: the service abstains, and a fake that is not found is not ok.
    assert value("monitor_canary_state_ok", {"kind": "fake"}) == 0
    assert value("monitor_canary_age_seconds", {"kind": "genuine"}) is None
    assert value("monitor_calls_started_total", {"ingest": "file"}) is None
    assert (value("monitor_inference_seconds_count", {"stage": "voice"}) or 0) > 0


async def test_stopping_does_not_wait_for_a_replay(tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", 300, LOUD)
    models = write_models(tmp_path / "models")
    service = Service(
        load(None, state_dir=tmp_path / "var", models_dir=models, canary={"fake": long})
    )
    async with asyncio.timeout(120):
        async with service.app.router.lifespan_context(service.app):
            await asyncio.sleep(0.3)
    value = service.metrics.registry.get_sample_value
    assert value("monitor_canary_state_ok", {"kind": "fake"}) is None


def test_a_missing_recording_is_named_at_the_start(tmp_path: Path) -> None:
    models = write_models(tmp_path / "models")
    settings = load(
        None,
        state_dir=tmp_path / "var",
        models_dir=models,
        canary={"genuine": tmp_path / "gone.wav"},
    )
    with pytest.raises(SettingsError, match=r"canary\.genuine: .*gone\.wav: no such file"):
        Service(settings)
