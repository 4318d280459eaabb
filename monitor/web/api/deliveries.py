"""REST: what was sent where, and whose synthetic speech is allowed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from typing_extensions import TypedDict

from monitor.decision.advice import Exemption
from monitor.schema import wire
from monitor.schema.messages import DeliveryState
from monitor.schema.records import described
from monitor.store.deliveries import DeliveryRecord
from monitor.store.store import Store
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem


@described
class ExemptionRecord(TypedDict):
    """Synthetic speech that the settings allow; an empty pattern matches everything."""

    name: str
    reason: str
    until: str
    label: str
    """Pattern of the call's label, with `*` and `?`; likewise the next two."""
    ingest: str
    participant: str
    active: bool
    """Whether it still holds."""


def router(gatekeeper: Gatekeeper, store: Store, exemptions: Sequence[Exemption]) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1", tags=["deliveries"], route_class=DescribedRoute)
    read = Depends(gatekeeper.require("read"))
    control = Annotated[Grant, Depends(gatekeeper.require("control"))]

    @routes.get("/deliveries", dependencies=[read])
    async def list_deliveries(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        state: DeliveryState | None = None,
        destination: str | None = None,
    ) -> list[DeliveryRecord]:
        """Deliveries of alert messages, newest first."""
        return await store.deliveries.latest(limit, state, destination)

    @routes.post("/deliveries/{number}/retry", status_code=202, responses=refusals(404, 503))
    async def retry(number: int, grant: control) -> Response:
        """Send a dead letter again; the receiver sees the same key."""
        if not await store.deliveries.retry(number, grant.name):
            raise Problem(404, "No such dead letter", "number: no dead delivery has this number")
        return Response(status_code=202)

    @routes.get("/allowances", dependencies=[read])
    async def list_allowances() -> list[ExemptionRecord]:
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
