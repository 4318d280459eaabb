"""Whether the process lives, whether it can take work, and its metrics."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import choose_encoder

from monitor.calls.registry import Registry
from monitor.metrics import Metrics
from monitor.web.auth import Gatekeeper


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    metrics: Metrics,
    models: dict[str, str],
    degraded: Callable[[], str | None],
) -> APIRouter:
    """Return the operational routes.

    `models` maps detectors to model versions; `degraded` says in a word why the store takes
    nothing, if it does not.
    """
    routes = APIRouter(tags=["operations"])

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The event loop answers."""
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        """Models are loaded and a call slot is free; 503 while every slot is in use.

        A store that takes nothing is reported and no reason to refuse calls: they are judged.
        """
        free = registry.free
        response.status_code = 200 if free > 0 else 503
        reason = degraded()
        ready = "ready" if reason is None else "degraded"
        return {
            "status": ready if free > 0 else "full",
            "free_slots": free,
            "store": "ok" if reason is None else f"degraded: {reason}",
            "models": models,
        }

    @routes.get("/metrics", dependencies=[Depends(gatekeeper.require("metrics"))])
    async def expose(request: Request) -> Response:
        """Prometheus or OpenMetrics text, as asked for; exemplars need OpenMetrics."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    return routes
