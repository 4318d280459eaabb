"""REST: which models judge, and what has been shown about their false alarms."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends

from monitor.web.auth import Gatekeeper


def router(gatekeeper: Gatekeeper, provenance: Mapping[str, Any], warm_up: float) -> APIRouter:
    """Return the route; `provenance` is what every evidence bundle says about models.

    `warm_up`: scored seconds before any decision.
    """
    routes = APIRouter(prefix="/api/v1", tags=["operations"])

    @routes.get("/models", dependencies=[Depends(gatekeeper.require("read"))])
    async def show() -> dict[str, Any]:
        """Models with their hashes, and each alert type's certificate."""
        return {
            "models": provenance["models"],
            "certificates": provenance["certificate"],
            "warm_up_seconds": warm_up,
        }

    return routes
