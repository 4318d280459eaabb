"""Fakes of the parts that tests do not want for real."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from monitor.analysis.cascade import Cascade
from monitor.analysis.speech import SpeechGate
from monitor.calls.stages import Judges, Stages
from monitor.decision.alarm import AlarmTiming
from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED, Certificate, Tier
from monitor.decision.policy import Policy
from monitor.decision.quality_bins import BinnedCalibration, QualityBin
from monitor.decision.sequential import ScanModel
from monitor.detectors.face import FaceDetector
from monitor.inference.executor import Executor
from monitor.types import (
    SAMPLE_RATE,
    AbstentionReason,
    Alert,
    AlertType,
    AudioFrame,
    AudioWindow,
    Outcome,
    Preview,
    Verdict,
)
from monitor.types.protocols import Intake, Media, SecondLook
from monitor.types.sampling import Sampling


class LevelDetector:
    """Calls loud windows fake: logit 4 above -20 dBFS, -4 below, silence abstains."""

    name = "voice"
    model = "fakefakefake"
    second: SecondLook | None = None

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        return [self._judge(window) for window in windows]

    def _judge(self, window: AudioWindow) -> float | AbstentionReason:
        if window.missing_seconds > 0.5:
            return AbstentionReason.GAP
        level = float(np.sqrt(np.mean(np.square(window.samples))))
        if level < 1e-3:
            return AbstentionReason.SILENCE
        return 4.0 if level > 0.1 else -4.0


class BrokenDetector(LevelDetector):
    """Fails on every window."""

    def judge(self, windows: Sequence[AudioWindow]) -> Sequence[float | AbstentionReason]:
        raise RuntimeError("broken on purpose")


POLICY = Policy(
    BinnedCalibration(
        {},
        (QualityBin({}, Calibration(slope=0.5, intercept=0.0, low=-2.0, high=2.0), 0.3, 50, 50),),
    ),
    ScanModel(genuine=-1.0, separation=2.0, between=0.3, within=0.5, autocorrelation=0.5),
    Certificate(
        identity="testtesttest",
        model="fakefakefake",
        date="2026-01-01",
        tiers={
            "review": Tier("review", 0.6, {POOLED: 2.0}, "conformal", 100, hours=8, alarms=5),
            "alert": Tier("alert", 0.12, {POOLED: 4.0}, "conformal", 400, hours=32, alarms=0),
        },
        maxima={POOLED: tuple(float(x) for x in np.linspace(-3, 3, 99))},
        source="made up for tests",
    ),
)


def stages(
    detector: LevelDetector | None = None, threads: int = 2, challenger: Judges | None = None
) -> Stages:
    """Real speech gate, cascade and executor around a fake voice detector."""
    voice = detector or LevelDetector()
    return Stages(
        gate=SpeechGate(),
        cascade=Cascade(),
        landmarker=None,
        judges=Judges(voice, FaceDetector(), {AlertType.VOICE: POLICY}),
        challenger=challenger,
        sampling=Sampling(),
        executor=Executor(threads),
        timing=AlarmTiming(),
        wall=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


class ScriptedSource:
    """Plays given media and ends."""

    ingest = "file"

    def __init__(self, *media: Media, live: bool = False, reason: str = "ended") -> None:
        self.live = live
        self._media = media
        self._reason = reason

    async def run(self, intake: Intake) -> str:
        for media in self._media:
            await intake.put(media)
        return self._reason


@dataclass
class MemorySink:
    """Remembers everything it hears."""

    started: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    comparisons: list[tuple[Verdict, Verdict]] = field(default_factory=list)
    faces: list[tuple[float, bool]] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)
    pauses: list[tuple[str, float, str | None]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        self.started.append(call)

    def window(self, call: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        self.faces.append((time, found))

    def preview(self, call: str, preview: Preview) -> None:
        self.previews.append(preview)

    def verdict(self, call: str, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        self.comparisons.append((verdict, challenger))

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        self.pauses.append((participant, time, reason))

    def alert(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def call_ended(self, call: str, reason: str) -> None:
        self.ended.append(reason)


def noise(start: float, duration: float, level: float, seed: int = 0) -> AudioFrame:
    """Noise of a given root-mean-square level."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(round(duration * SAMPLE_RATE)).astype(np.float32) * level
    return AudioFrame("remote", start, samples)
