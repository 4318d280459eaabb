"""REST: how far calls are from those the policies were made with."""

from fastapi import APIRouter, Depends

from monitor.delivery.drift import Drift, DriftRecord
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute


def router(gatekeeper: Gatekeeper, drift: Drift) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/api/v1", tags=["operations"], route_class=DescribedRoute)

    @routes.get("/drift", dependencies=[Depends(gatekeeper.require("read"))])
    async def show_drift() -> DriftRecord:
        """Stability indices, the martingale over calls, and the share of abstentions."""
        return drift.record()

    return routes
