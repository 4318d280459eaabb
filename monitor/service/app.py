"""Settings → a running service: the only file that names concrete adapters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from monitor.calls.admission import CapacityError, Level
from monitor.calls.governor import Governor, GovernorOptions
from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.delivery.drift import Drift
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import LogSink
from monitor.delivery.shadow import Disagreements
from monitor.ingest.webrtc.whip_offer import Offer
from monitor.ingest.webrtc.whip_source import WebRtcSource, offer_loopback
from monitor.metrics.sink import Metrics
from monitor.runtime.tasks import Work, Workers
from monitor.service.access import grants, login
from monitor.service.alerting import Alerting
from monitor.service.archive import Archive, provenance
from monitor.service.canary import Canary, Kind
from monitor.service.judges import build_stages, watches
from monitor.service.meetings import zoom_routes
from monitor.service.sources import Wanted, check_trust, configured, open_file, open_pull, webrtc
from monitor.service.telephony_ports import Telephony
from monitor.settings import Settings, SettingsError
from monitor.types.protocols import Sink, Source
from monitor.version import VERSION
from monitor.web import problems
from monitor.web.api import calls as api
from monitor.web.api import (
    deliveries,
    drift,
    health,
    history,
    models,
    pauses,
    previews,
    recordings,
    reviews,
    shadow,
    whip,
)
from monitor.web.api.events import EVENTS, EventStream
from monitor.web.api.history import History
from monitor.web.api.previews import Previews
from monitor.web.api.recordings import Uploads
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedApp
from monitor.web.entrance import Entrance, OpenWhip
from monitor.web.headers import protect
from monitor.web.login import login as logins

_CONSOLE = Path(__file__).parent.parent / "web" / "console"


def build_offline(settings: Settings) -> tuple[Stages, Metrics]:
    """Load what a replay needs, without a challenger; raises like `build_stages`."""
    metrics = Metrics()
    return build_stages(settings.model_copy(update={"challenger_dir": None}), metrics), metrics


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

    def __init__(self, settings: Settings, entrance: Entrance | None = None) -> None:
        """Raise CatalogueError or SettingsError when the service must not start.

        `entrance` is that of a node of a cluster.
        """
        check_trust(settings)
        self._login = login(settings)
        self.settings = settings
        self._entrance = entrance
        self.metrics = Metrics()
        self.workers = Workers()
        self._previews = Previews() if settings.server.previews else None
        self._stages = build_stages(settings, self.metrics)
        if self._previews is not None:
            self._stages = replace(self._stages, previewed=self._previews.wanted)
        self._history = History()
        most = round(settings.limits.upload_megabytes * 1e6)
        self._uploads = Uploads(settings.state_dir / "uploads", most)
        self._events = EventStream()
        self._shadow = Disagreements()
        self._drift = Drift(watches(self._stages.judges), self.metrics)
        self._canary = build_canary(settings, self._stages, self.metrics)
        sinks: list[Sink] = [self.metrics, LogSink(), self._events, self._shadow, self._drift]
        sinks += [self._history, *([self._previews] if self._previews is not None else [])]
        told = Fanout(sinks)
        self.alerting = Alerting(settings, self.metrics, self._find, told.alert, self.workers)
        self._archive = Archive(
            settings, self._stages.judges, self.metrics, self.alerting.store, self.workers,
            self.alerting.restore,
        )  # fmt: skip
        # Evidence hears of an alert at once: by the time it is committed the media may be gone.
        heard = Fanout(
            [*sinks, self.alerting.recorder, self._archive.recorder],
            Fanout([self.alerting.outbox, self._archive.recorder]),
        )
        keep = self._archive.keep
        governing = GovernorOptions(**settings.governor.model_dump())
        self._governor = Governor(settings.limits.calls, governing, self._thin)
        limits = settings.limits
        self.registry = Registry(
            self._stages,
            heard,
            self.metrics,
            self._governor,
            keep,
            limits.unheard,
            limits.calls_per_sender,
        )
        if settings.bound_to_loopback:
            offer_loopback()
        self.app = self._build()

    def _dead(self) -> list[str]:
        """What has to run, does not, and could not be begun again."""
        missing = self._stages.executor.missing
        return [
            *self.workers.dead,
            *(["inference"] if missing else []),
            *(["evidence"] if self._archive.dead else []),
        ]

    def _thin(self, level: Level) -> None:
        self.registry.govern(level)

    def _find(self, call: str) -> CallRecord | None:
        return self.registry.find(call)

    def _build(self) -> DescribedApp:
        settings = self.settings
        app = DescribedApp(
            EVENTS,
            title="deepfake monitor",
            version=VERSION,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        problems.install(app)
        sessions = self._login.sessions if self._login is not None else None
        gatekeeper = Gatekeeper(grants(settings), sessions=sessions)
        app.include_router(logins.router(gatekeeper, self._login))
        options = webrtc(settings)

        def open_whip(offer: Offer, participant: str) -> WebRtcSource:
            video = settings.video
            return WebRtcSource(offer, participant, video.sampling, video.width, options)

        def open_source(request: api.SourceRequest) -> Source:
            return open_pull(settings, Wanted(**request.model_dump()))

        self._telephony = Telephony(settings, self.registry, gatekeeper, self._events)
        app.include_router(self._telephony.routes)
        app.include_router(zoom_routes(settings, self.registry))
        app.include_router(whip.router(self.registry, gatekeeper, open_whip, self._entrance))
        store, allowance = self.alerting.store, self.alerting.allowance
        app.include_router(
            api.router(self.registry, gatekeeper, store, self._events, open_source, allowance)
        )
        app.include_router(history.router(gatekeeper, self._history))
        app.include_router(previews.router(gatekeeper, self.registry, self._previews))
        replays = recordings.router(
            self.registry,
            gatekeeper,
            self._uploads,
            lambda path, participant, channels: open_file(
                settings, path, participant, None, channels
            ),
            *([self._previews.look] if self._previews is not None else []),
        )
        app.include_router(replays)
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
                self._dead,
            )
        )
        app.include_router(shadow.router(gatekeeper, self._shadow, judges, self._stages.challenger))
        app.include_router(drift.router(gatekeeper, self._drift))
        known = provenance(settings, judges)
        app.include_router(models.router(gatekeeper, known, settings.alarm.warm_up))

        @app.get("/", include_in_schema=False)
        async def index() -> Response:
            return FileResponse(_CONSOLE / "index.html")

        app.mount("/console", StaticFiles(directory=_CONSOLE), name="console")
        # Recordings are streamed to disk, as long as settings allow.
        protect(app, settings.server.cors_origins, unlimited=("/api/v1/recordings",))
        if self._entrance is not None:
            app.add_middleware(OpenWhip)
        return app

    def close_streams(self) -> None:
        """End every reader's event stream; for when the service is about to stop."""
        self._events.close()

    @asynccontextmanager
    async def _lifespan(self, app: DescribedApp) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(self._stages.executor.close)
            if self._login is not None:
                stack.push_async_callback(self._login.provider.close)
            self._uploads.clear()
            stack.callback(self._uploads.clear)
            await stack.enter_async_context(self.alerting.running())
            await stack.enter_async_context(self._archive.running())
            # Calls end before the outbox does, which must still commit their last alerts.
            stack.callback(self._events.close)
            stack.push_async_callback(self.registry.close)
            self._pull_sources()
            await stack.enter_async_context(self._telephony.listening())
            waited, observe = self._stages.executor.lateness, self.metrics.loop_lag.observe
            governing = partial(self._governor.run, waited, observe)
            work: list[tuple[str, Work]] = [("canary", self._canary.run), ("governor", governing)]
            await stack.enter_async_context(self.workers.running(work))
            yield

    def _pull_sources(self) -> None:
        for pull in self.settings.sources:
            source = configured(self.settings, pull)
            try:
                self.registry.start(source, pull.participant, pull.label)
            except CapacityError as error:
                raise SettingsError(f"sources: {error}; raise limits.calls") from error
