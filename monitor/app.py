"""Settings → a running service: the only file that names concrete adapters."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

import monitor
from monitor import log
from monitor.access import grants
from monitor.analysis.cascade import Cascade
from monitor.analysis.speech import SpeechGate
from monitor.calls.registry import CapacityError, Registry
from monitor.calls.stages import Judges, Stages
from monitor.canary import Canary, Kind
from monitor.decision import policy
from monitor.decision.alarm import AlarmTiming
from monitor.decision.drift import DriftWindow
from monitor.decision.exchangeability import ExchangeabilityTest
from monitor.decision.participant import SINGLE
from monitor.delivery.drift import Drift, Watch
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import LogSink
from monitor.delivery.recent import RecentAlerts
from monitor.delivery.shadow import Disagreements
from monitor.delivery.webhook import WebhookSink
from monitor.detectors.face import FaceDetector
from monitor.detectors.voice import VoiceDetector
from monitor.inference.catalogue import Catalogue, CatalogueError, Model, default_folder
from monitor.inference.executor import Executor
from monitor.ingest.file import FileSource
from monitor.ingest.rtsp import RtspOptions, RtspSource
from monitor.ingest.webrtc import WebRtcOptions, WebRtcSource, offer_loopback
from monitor.ingest.whip import Offer
from monitor.metrics import Metrics
from monitor.protocols import Sink
from monitor.settings import Settings, SettingsError
from monitor.telephony import Telephony
from monitor.types import AlertType
from monitor.web import api, drift, health, problems, shadow, whip
from monitor.web.auth import Gatekeeper
from monitor.web.events import EventStream
from monitor.web.headers import SecurityHeaders

_log = log.get(__name__)
RECENT_WINDOWS = 20_000
"""Scored windows that count as now for drift: some five hours of speech."""
_CONSOLE = Path(__file__).parent / "web" / "console"


def load_judges(folder: Path, others: Judges | None = None) -> Judges:
    """Load and check the models of a folder; raises CatalogueError naming what is wrong.

    Detectors that `others` loaded from the same model file are shared.
    """
    catalogue = Catalogue(folder)
    model = catalogue.verified("voice")
    if model.decision is None:
        raise CatalogueError(f"{catalogue.folder}: model 'voice' has no decision file")
    policies = {AlertType.VOICE: load_policy(model.decision, model)}
    same = others is not None and others.voice.model == model.version
    voice = others.voice if others is not None and same else VoiceDetector(model)
    return Judges(voice, FaceDetector(), policies)


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
    """Load and check every model; raises CatalogueError naming the file that is wrong."""
    judges = load_judges(settings.models_dir or default_folder())
    other = settings.challenger_dir
    challenger = load_judges(other, judges) if other is not None else None
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
    timing = AlarmTiming(
        warm_up=settings.alarm.warm_up,
        clear_after=settings.alarm.clear_after,
        cool_down=settings.alarm.cool_down,
    )
    return Stages(
        gate=SpeechGate(),
        cascade=Cascade(),
        judges=judges,
        challenger=challenger,
        executor=Executor(settings.limits.inference_threads, metrics.stage),
        timing=timing,
        wall=lambda: datetime.now(UTC),
    )


def build_offline(settings: Settings) -> tuple[Stages, Metrics]:
    """Load what a replay needs, without a challenger; raises like `build_stages`."""
    metrics = Metrics()
    return build_stages(settings.model_copy(update={"challenger_dir": None}), metrics), metrics


def open_file(
    settings: Settings,
    path: Path,
    participant: str,
    progress: Callable[[float, float], None] | None = None,
) -> FileSource:
    """Make the source that replays a recording."""
    return FileSource(path, participant, settings.video.fps, settings.video.width, progress)


def open_rtsp(
    settings: Settings,
    uri: str,
    participant: str,
    transport: str | None = None,
    retry_first: bool = False,
) -> RtspSource:
    """Make the source that pulls an RTSP URL."""
    options = RtspOptions(
        transport="udp" if (transport or settings.rtsp.transport) == "udp" else "tcp",
        open_timeout=settings.rtsp.open_timeout,
        read_timeout=settings.rtsp.read_timeout,
        give_up_after=0.0 if retry_first else settings.rtsp.give_up_after,
        retry_first=retry_first,
    )
    return RtspSource(uri, participant, settings.video.fps, settings.video.width, options)


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


def build_canary(settings: Settings, stages: Stages, metrics: Metrics) -> Canary:
    """Make what replays the configured recordings; raises SettingsError if one is missing."""
    wanted = {Kind.GENUINE: settings.canary.genuine, Kind.FAKE: settings.canary.fake}
    files = {kind: path for kind, path in wanted.items() if path is not None}
    for kind, path in files.items():
        if not path.is_file():
            raise SettingsError(f"canary.{kind}: {path}: no such file")
    every = settings.canary.every_seconds
    return Canary(files, every, lambda p: open_file(settings, p, "canary"), stages, metrics)


class Service:
    """Everything one process serves."""

    def __init__(self, settings: Settings) -> None:
        """Raise CatalogueError or SettingsError when the service must not start."""
        self.settings = settings
        self.metrics = Metrics()
        self._stages = build_stages(settings, self.metrics)
        self._alerts, self._events = RecentAlerts(), EventStream()
        self._shadow = Disagreements()
        self._drift = Drift(watches(self._stages.judges), self.metrics)
        self._canary = build_canary(settings, self._stages, self.metrics)
        self._webhooks = [self._webhook(i) for i in range(len(settings.webhooks))]
        sinks: list[Sink] = [self.metrics, LogSink(), self._alerts, self._events]
        sinks += [self._shadow, self._drift, *self._webhooks]
        self.registry = Registry(self._stages, Fanout(sinks), self.metrics, settings.limits.calls)
        if settings.bound_to_loopback:
            offer_loopback()
        self.app = self._build()

    def _webhook(self, index: int) -> WebhookSink:
        hook = self.settings.webhooks[index]
        try:
            return WebhookSink(
                name=hook.name,
                url=hook.url,
                secret=hook.secret.get_secret_value(),
                tiers=hook.tiers,
                timeout=hook.timeout,
                give_up_after=hook.give_up_after,
                metrics=self.metrics,
            )
        except (ValueError, RuntimeError) as error:
            raise SettingsError(f"webhooks.{index}.secret: not a signing secret") from error

    def _build(self) -> FastAPI:
        settings = self.settings
        app = FastAPI(
            title="deepfake monitor",
            version=monitor.__version__,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        problems.install(app)
        gatekeeper = Gatekeeper(grants(settings))
        # The settings table has the fields of the options, one for one.
        webrtc = WebRtcOptions(**settings.webrtc.model_dump())

        def open_whip(offer: Offer, participant: str) -> WebRtcSource:
            video = settings.video
            return WebRtcSource(offer, participant, video.fps, video.width, webrtc)

        def open_pull(request: api.SourceRequest) -> RtspSource:
            return open_rtsp(settings, request.uri, request.participant, request.transport)

        self._telephony = Telephony(settings, self.registry, gatekeeper)
        app.include_router(self._telephony.routes)
        app.include_router(whip.router(self.registry, gatekeeper, open_whip))
        app.include_router(
            api.router(self.registry, gatekeeper, self._alerts, self._events, open_pull)
        )
        judges = self._stages.judges
        app.include_router(health.router(self.registry, gatekeeper, self.metrics, judges.models))
        app.include_router(shadow.router(gatekeeper, self._shadow, judges, self._stages.challenger))
        app.include_router(drift.router(gatekeeper, self._drift))

        @app.get("/", include_in_schema=False)
        async def index() -> Response:
            return FileResponse(_CONSOLE / "index.html")

        app.mount("/console", StaticFiles(directory=_CONSOLE), name="console")
        app.add_middleware(SecurityHeaders)
        if settings.server.cors_origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=list(settings.server.cors_origins),
                allow_methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
                allow_headers=["Authorization", "Content-Type", "If-Match"],
                expose_headers=["Location", "ETag", "Link", "X-Call-Id", "Retry-After"],
            )
        return app

    def close_streams(self) -> None:
        """End every reader's event stream; for when the service is about to stop."""
        self._events.close()

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        for pull in self.settings.sources:
            uri = pull.uri.get_secret_value()
            source = open_rtsp(self.settings, uri, pull.participant, pull.transport, True)
            try:
                self.registry.start(source, pull.participant, pull.label)
            except CapacityError as error:
                raise SettingsError(f"sources: {error}; raise limits.calls") from error
        background = [asyncio.create_task(hook.run()) for hook in self._webhooks]
        background.append(asyncio.create_task(self._canary.run()))
        try:
            async with self._telephony.listening():
                yield
        finally:
            await self.registry.close()
            self._events.close()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._stages.executor.close()
