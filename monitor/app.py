"""Settings → a running service: the only file that names concrete adapters."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

import monitor
from monitor.access import grants
from monitor.alerting import Alerting
from monitor.archive import Archive
from monitor.calls.call import CallRecord
from monitor.calls.registry import CapacityError, Registry
from monitor.calls.stages import Stages
from monitor.canary import Canary, Kind
from monitor.delivery.drift import Drift
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import LogSink
from monitor.delivery.shadow import Disagreements
from monitor.ingest.file import FileSource
from monitor.ingest.rtsp import RtspOptions, RtspSource
from monitor.ingest.webrtc import WebRtcOptions, WebRtcSource, offer_loopback
from monitor.ingest.whip import Offer
from monitor.judges import build_stages, watches
from monitor.metrics import Metrics
from monitor.protocols import Sink
from monitor.settings import Settings, SettingsError
from monitor.telephony import Telephony
from monitor.web import api, deliveries, drift, health, pauses, problems, reviews, shadow, whip
from monitor.web.auth import Gatekeeper
from monitor.web.events import EventStream
from monitor.web.headers import SecurityHeaders

_CONSOLE = Path(__file__).parent / "web" / "console"


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
    return FileSource(path, participant, settings.video.sampling, settings.video.width, progress)


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
    return RtspSource(uri, participant, settings.video.sampling, settings.video.width, options)


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
        self._events = EventStream()
        self._shadow = Disagreements()
        self._drift = Drift(watches(self._stages.judges), self.metrics)
        self._canary = build_canary(settings, self._stages, self.metrics)
        sinks: list[Sink] = [self.metrics, LogSink(), self._events, self._shadow, self._drift]
        told = Fanout(sinks)
        self.alerting = Alerting(settings, self.metrics, self._find, told.alert)
        self._archive = Archive(settings, self._stages.judges, self.metrics, self.alerting.store)
        # Evidence hears of an alert at once: by the time it is committed the media may be gone.
        heard = Fanout(
            [*sinks, self.alerting.recorder, self._archive.recorder],
            Fanout([self.alerting.outbox, self._archive.recorder]),
        )
        keep = self._archive.keep
        self.registry = Registry(self._stages, heard, self.metrics, settings.limits.calls, keep)
        if settings.bound_to_loopback:
            offer_loopback()
        self.app = self._build()

    def _find(self, call: str) -> CallRecord | None:
        return self.registry.find(call)

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
            return WebRtcSource(offer, participant, video.sampling, video.width, webrtc)

        def open_pull(request: api.SourceRequest) -> RtspSource:
            return open_rtsp(settings, request.uri, request.participant, request.transport)

        self._telephony = Telephony(settings, self.registry, gatekeeper)
        app.include_router(self._telephony.routes)
        app.include_router(whip.router(self.registry, gatekeeper, open_whip))
        store, allowance = self.alerting.store, self.alerting.allowance
        app.include_router(
            api.router(self.registry, gatekeeper, store, self._events, open_pull, allowance)
        )
        app.include_router(pauses.router(self.registry, gatekeeper))
        app.include_router(self._archive.routes(gatekeeper))
        app.include_router(reviews.router(gatekeeper, store))
        app.include_router(deliveries.router(gatekeeper, store, self.alerting.advisor.exemptions))
        judges = self._stages.judges
        app.include_router(
            health.router(
                self.registry,
                gatekeeper,
                self.metrics,
                judges.models,
                lambda: store.degraded,
            )
        )
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
        async with AsyncExitStack() as stack:
            stack.callback(self._stages.executor.close)
            await stack.enter_async_context(self.alerting.running())
            await stack.enter_async_context(self._archive.running())
            # Calls end before the outbox does, which must still commit their last alerts.
            stack.callback(self._events.close)
            stack.push_async_callback(self.registry.close)
            self._pull_sources()
            await stack.enter_async_context(self._telephony.listening())
            canary = asyncio.create_task(self._canary.run())
            stack.callback(canary.cancel)
            yield

    def _pull_sources(self) -> None:
        for pull in self.settings.sources:
            uri = pull.uri.get_secret_value()
            source = open_rtsp(self.settings, uri, pull.participant, pull.transport, True)
            try:
                self.registry.start(source, pull.participant, pull.label)
            except CapacityError as error:
                raise SettingsError(f"sources: {error}; raise limits.calls") from error
