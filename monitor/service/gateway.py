"""Settings → the door of a cluster: what `serve --cluster` serves."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response

from monitor.cluster.connection import FleetError, connect
from monitor.cluster.engine import EngineError
from monitor.cluster.seal import Seal
from monitor.metrics.cluster import ClusterFamilies
from monitor.metrics.sink import Metrics
from monitor.runtime.tasks import Workers
from monitor.schema.messages import StoreError
from monitor.service.access import grants
from monitor.service.alerting import build_store
from monitor.service.fleet import ClusterPlan, check_cluster, first_epoch, named, tickets
from monitor.service.sources import Wanted, open_pull
from monitor.settings import Settings, SettingsError
from monitor.store.sources import SourceRow
from monitor.version import VERSION
from monitor.web import problems
from monitor.web.api.calls import SourceRequest
from monitor.web.auth import Gatekeeper
from monitor.web.cluster import gateway, switchboard
from monitor.web.cluster.relay import Relay
from monitor.web.headers import protect
from monitor.web.problems import Problem


class Gateway:
    """Takes no call itself; any number of them may run, each beside a Ray node."""

    def __init__(self, settings: Settings) -> None:
        """Raise SettingsError when the cluster must not be used so."""
        plan = ClusterPlan.of(settings)
        self._settings = settings
        self.workers = Workers()
        self._seal = Seal(check_cluster(settings))
        self._store = build_store(named(settings, "gateway"), Metrics())
        self._families = ClusterFamilies()
        self._relay = Relay()
        try:
            self._fleet = connect(settings.cluster.address, plan)
        except EngineError as error:
            raise SettingsError(str(error)) from error
        self.app = self._build()

    def close_streams(self) -> None:
        """Readers' streams end with their nodes' or with the server."""

    async def want(self, request: SourceRequest) -> str:
        """Have a source pulled; return its id. Raises ValueError for what names none."""
        fields = request.model_dump(exclude={"sdp"})
        # Tried here, so that who asks hears what is wrong with it.
        open_pull(self._settings, Wanted(**fields))
        source = f"s{secrets.token_hex(7)}"
        await self._fleet.want(SourceRow(source, self._seal.close(fields), epoch=first_epoch()))
        return source

    def open(self, sealed: str) -> dict[str, Any]:
        """What was wanted; raises ValueError."""
        return self._seal.open(sealed)

    def _build(self) -> FastAPI:
        app = FastAPI(
            title="deepfake monitor, gateway",
            version=VERSION,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        problems.install(app)
        app.add_exception_handler(FleetError, _unreachable)
        settings, fleet = self._settings, self._fleet
        gatekeeper = Gatekeeper(grants(settings))
        signalling = settings.cluster.signalling
        app.include_router(
            gateway.whip_routes(fleet, gatekeeper, tickets(settings), self._relay, signalling)
        )
        app.include_router(gateway.node_routes(fleet, gatekeeper))
        app.include_router(gateway.metric_routes(fleet, gatekeeper, self._families))
        app.include_router(gateway.source_routes(fleet, gatekeeper, self))
        # Last: it takes every path under /api/v1 that nobody else took.
        app.include_router(switchboard.call_routes(fleet, gatekeeper, self._store, self._relay))
        protect(app, settings.server.cors_origins)
        return app

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._relay.close)
            stack.push_async_callback(self._store.close)
            try:
                await self._store.open()
            except StoreError as error:
                raise SettingsError(f"store.url: {error.detail}") from error
            try:
                await self._fleet.begin()
            except FleetError as error:
                raise SettingsError(str(error)) from error
            yield


async def _unreachable(request: Request, error: Exception) -> Response:
    return Problem(503, "Cluster not reachable", str(error), {"Retry-After": "5"}).response()
