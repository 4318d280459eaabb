"""Whether the process lives, whether it can take work, and its metrics."""

from collections.abc import Callable, Sequence
from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import choose_encoder
from typing_extensions import TypedDict

from monitor.calls.registry import Registry
from monitor.metrics.sink import Metrics
from monitor.schema.records import described
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute


@described
class LifeRecord(TypedDict):
    """Whether the process lives."""

    status: Literal["ok", "failing"]
    dead: list[str]
    """Workers that died and could not be begun again: the process has to be."""


@described
class ReadinessRecord(TypedDict):
    """Whether calls are taken."""

    status: Literal["ready", "degraded", "full", "draining"]
    free_slots: int
    store: str
    """`ok`, or why it takes nothing."""
    models: dict[str, str]
    """Version by detector."""


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    metrics: Metrics,
    models: dict[str, str],
    degraded: Callable[[], str | None],
    dead: Callable[[], Sequence[str]],
) -> APIRouter:
    """Return the operational routes.

    `models` maps detectors to model versions; `degraded` says in a word why the store takes
    nothing, if it does not; `dead` names workers that are gone for good.
    """
    routes = APIRouter(tags=["operations"], route_class=DescribedRoute)

    @routes.get("/healthz", responses={503: {"model": LifeRecord, "description": "Failing"}})
    async def healthz(response: Response) -> LifeRecord:
        """The event loop answers, and every worker runs; 503 once one cannot be begun again."""
        gone = sorted(set(dead()))
        response.status_code = 503 if gone else 200
        return {"status": "failing" if gone else "ok", "dead": gone}

    @routes.get("/readyz", responses={503: {"model": ReadinessRecord, "description": "Full"}})
    async def readyz(response: Response) -> ReadinessRecord:
        """Models are loaded and a call slot is free; 503 while every slot is in use, or draining.

        A store that takes nothing is reported and no reason to refuse calls: they are judged.
        """
        free = registry.free
        response.status_code = 200 if free > 0 else 503
        reason = degraded()
        return {
            "status": _status(registry, reason),
            "free_slots": free,
            "store": "ok" if reason is None else f"degraded: {reason}",
            "models": models,
        }

    @routes.get(
        "/metrics",
        dependencies=[Depends(gatekeeper.require("metrics"))],
        responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
    )
    async def expose(request: Request) -> Response:
        """Prometheus or OpenMetrics text, as asked for; exemplars need OpenMetrics."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    return routes


def _status(
    registry: Registry, degraded: str | None
) -> Literal["ready", "degraded", "full", "draining"]:
    if registry.draining:
        return "draining"
    if not registry.free:
        return "full"
    return "ready" if degraded is None else "degraded"
