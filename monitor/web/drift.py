"""REST: how far calls are from those the policies were made with."""

from typing import Any

from fastapi import APIRouter, Depends

from monitor.delivery.drift import Drift
from monitor.web.auth import Gatekeeper


def router(gatekeeper: Gatekeeper, drift: Drift) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/api/v1", tags=["operations"])

    @routes.get("/drift", dependencies=[Depends(gatekeeper.require("read"))])
    async def show() -> dict[str, Any]:
        """Stability indices, the martingale over calls, and the share of abstentions."""
        return drift.record()

    return routes
