"""Settings → detectors, their policies, and what watches both for drift."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from monitor.analysis.cascade import Cascade
from monitor.analysis.landmarker import Landmarker
from monitor.analysis.speech import SpeechGate
from monitor.calls.stages import Judges, Stages
from monitor.decision import policy
from monitor.decision.alarm import AlarmTiming
from monitor.decision.drift import DriftWindow
from monitor.decision.exchangeability import ExchangeabilityTest
from monitor.decision.participant import SINGLE
from monitor.delivery.drift import Watch
from monitor.detectors.blink import Blink
from monitor.detectors.expression import Expression
from monitor.detectors.face import FaceDetector
from monitor.detectors.facial_hair import FacialHair
from monitor.detectors.lighting import Lighting
from monitor.detectors.lipsync import LipSync
from monitor.detectors.pulse import Pulse
from monitor.detectors.reflections import Reflections
from monitor.detectors.voice import VoiceDetector
from monitor.inference import device
from monitor.inference.catalogue import Catalogue, CatalogueError, Model, default_folder
from monitor.inference.executor import Executor
from monitor.inference.onnx import CPU
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.service import extensions
from monitor.settings import Settings, SettingsError
from monitor.types import AlertType
from monitor.types.protocols import Cue, FaceJudge

_log = log.get(__name__)
LANDMARKS = "landmarks"
"""The model without which no cue is looked for."""
RECENT_WINDOWS = 20_000
"""Scored windows that count as now for drift: some five hours of speech."""


def load_judges(
    folder: Path, others: Judges | None = None, providers: Sequence[str] = (CPU,)
) -> Judges:
    """Load and check the models of a folder; raises CatalogueError naming what is wrong.

    Detectors that `others` loaded from the same model file are shared.
    """
    catalogue = Catalogue(folder)
    model = catalogue.verified("voice")
    if model.decision is None:
        raise CatalogueError(f"{catalogue.folder}: model 'voice' has no decision file")
    policies = {AlertType.VOICE: load_policy(model.decision, model)}
    same = others is not None and others.voice.model == model.version
    voice = others.voice if others is not None and same else VoiceDetector(model, providers)
    cues = physical_cues(catalogue) if LANDMARKS in catalogue.models else ()
    return Judges(voice, _face(catalogue, policies, others, providers), policies, cues)


def physical_cues(catalogue: Catalogue) -> tuple[Cue, ...]:
    """Every cue, in the order in which they are shown."""
    lips, eyes = (
        catalogue.verified(name) if name in catalogue.models else None for name in ("lips", "eyes")
    )
    return (
        LipSync(lips), Blink(eyes), Expression(), Lighting(), FacialHair(), Reflections(), Pulse()
    )  # fmt: skip


def load_landmarker(folder: Path, providers: Sequence[str] = (CPU,)) -> Landmarker:
    """Load and check the model of landmarks; raises CatalogueError naming what is wrong."""
    return Landmarker(Catalogue(folder).verified(LANDMARKS), providers)


def _face(
    catalogue: Catalogue,
    policies: dict[AlertType, policy.Policy],
    others: Judges | None,
    providers: Sequence[str],
) -> FaceJudge:
    """The face's detector; a folder without its model is one for voices only."""
    if "face" not in catalogue.models:
        return FaceDetector()
    model = catalogue.verified("face")
    if model.decision is not None:
        policies[AlertType.FACE] = load_policy(model.decision, model)
    if others is not None and others.face.model == model.version:
        return others.face
    return FaceDetector(model, providers)


def load_policy(path: Path, model: Model) -> policy.Policy:
    """Read a policy made for a model; raises CatalogueError naming what is wrong."""
    try:
        found = policy.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error
    except policy.PolicyError as error:
        raise CatalogueError(f"{path}: {error}") from error
    if found.certificate.model != model.version:
        raise CatalogueError(
            f"{path}: made for model {found.certificate.model}, but {model.path} is {model.version}"
        )
    return found


def build_stages(settings: Settings, metrics: Metrics) -> Stages:
    """Load and check every model; raises CatalogueError naming the file that is wrong.

    Raises SettingsError for a device that is not there.
    """
    folder = settings.models_dir or default_folder()
    try:
        providers = device.providers(settings.inference.device)
    except device.DeviceError as error:
        raise SettingsError(str(error)) from error
    judges = load_judges(folder, providers=providers)
    judges = _extended(judges, settings)
    other = settings.challenger_dir
    challenger = load_judges(other, judges, providers) if other is not None else None
    for type_, used in judges.policies.items():
        detector = judges.voice if type_ is AlertType.VOICE else judges.face
        metrics.model.labels(detector.name, detector.model, used.identity).set(1)
        for tier in used.certificate.tiers.values():
            metrics.certificate.labels(type_, tier.name, used.identity).set(tier.certified)
            metrics.certificate_bound.labels(type_, tier.name).set(tier.bound_per_hour)
            metrics.certificate_hours.labels(type_, tier.name).set(tier.hours)
            if not tier.certified:
                _log.info(
                    "tier is not certified",
                    type=type_,
                    tier=tier.name,
                    budget_per_hour=tier.budget_per_hour,
                    shown_at_most_per_hour=round(tier.bound_per_hour, 3),
                    test_hours=tier.hours,
                )
    if AlertType.FACE not in judges.policies:
        metrics.model.labels(judges.face.name, judges.face.model, "none").set(1)
    landmarker = load_landmarker(folder, providers) if judges.cues else None
    timing = AlarmTiming(
        warm_up=settings.alarm.warm_up,
        clear_after=settings.alarm.clear_after,
        cool_down=settings.alarm.cool_down,
    )
    return Stages(
        gate=SpeechGate(),
        cascade=Cascade(),
        landmarker=landmarker,
        judges=judges,
        challenger=challenger,
        sampling=settings.video.sampling,
        executor=Executor(settings.limits.inference_threads, metrics.stage),
        timing=timing,
        wall=lambda: datetime.now(UTC),
    )


def _extended(judges: Judges, settings: Settings) -> Judges:
    """Add other packages' detectors."""
    taken = {judges.voice.name, judges.face.name, *(cue.name for cue in judges.cues)}
    listeners, cues = extensions.detectors(settings.extensions.detectors, taken)
    return replace(judges, cues=(*judges.cues, *cues), listeners=tuple(listeners))


def watches(judges: Judges) -> dict[AlertType, Watch]:
    """Make what holds recent windows and calls against each policy's reference."""
    detectors = {type_: detector for detector, type_ in SINGLE.items()}
    return {
        type_: Watch(
            detector=detectors.get(type_),
            histograms=DriftWindow(used.reference, RECENT_WINDOWS),
            test=ExchangeabilityTest(min(len(m) for m in used.certificate.maxima.values())),
        )
        for type_, used in judges.policies.items()
    }
