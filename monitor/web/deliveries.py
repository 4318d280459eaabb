"""REST: what was sent where, and whose synthetic speech is allowed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from monitor import wire
from monitor.decision.advice import Exemption
from monitor.messages import DeliveryState
from monitor.store.calls import moment
from monitor.store.store import Store
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.problems import Problem


def router(gatekeeper: Gatekeeper, store: Store, exemptions: Sequence[Exemption]) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1", tags=["deliveries"])
    read = Depends(gatekeeper.require("read"))
    control = Annotated[Grant, Depends(gatekeeper.require("control"))]

    @routes.get("/deliveries", dependencies=[read])
    async def list_deliveries(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        state: DeliveryState | None = None,
        destination: str | None = None,
    ) -> list[dict[str, Any]]:
        """Deliveries of alert messages, newest first."""
        rows = await store.deliveries.latest(limit, state, destination)
        return [{**row, "changed_at": moment(row["changed_at"])} for row in rows]

    @routes.post("/deliveries/{number}/retry", status_code=202)
    async def retry(number: int, grant: control) -> Response:
        """Send a dead letter again; the receiver sees the same key."""
        if not await store.deliveries.retry(number, grant.name):
            raise Problem(404, "No such dead letter", "number: no dead delivery has this number")
        return Response(status_code=202)

    @routes.get("/allowances", dependencies=[read])
    async def list_allowances() -> list[dict[str, Any]]:
        """Whose synthetic speech is allowed, until when, and whether that still holds."""
        now = datetime.now(UTC)
        return [
            {
                **wire.allowance(e.allowance),
                "label": e.pattern.label,
                "ingest": e.pattern.ingest,
                "participant": e.pattern.participant,
                "active": now < e.until,
            }
            for e in exemptions
        ]

    return routes
