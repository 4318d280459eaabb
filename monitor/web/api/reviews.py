"""REST: what analysts found, what must not be deleted, and who did what."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from monitor.store.audit import AuditRecord
from monitor.store.retention import HoldRecord
from monitor.store.reviews import ReviewOutcome, ReviewRecord
from monitor.store.store import Store
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem

Limit = Annotated[int, Query(ge=1, le=1000)]


class ReviewRequest(BaseModel):
    """What an analyst found an alert to be."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    alert: str = Field(pattern="^[0-9a-f]{24}$")
    """The `id` of the alert."""
    outcome: ReviewOutcome
    reason: str = Field(min_length=1, max_length=2000)


class HoldRequest(BaseModel):
    """Why something must be kept."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    reason: str = Field(min_length=1, max_length=2000)


def router(gatekeeper: Gatekeeper, store: Store) -> APIRouter:
    """Return the routes; whoever writes is named in the audit log by the token's name."""
    routes = APIRouter(prefix="/api/v1", tags=["reviews"], route_class=DescribedRoute)
    missing = refusals(404, 503)
    read = Depends(gatekeeper.require("read"))
    reviewer = Annotated[Grant, Depends(gatekeeper.require("review"))]
    control = Depends(gatekeeper.require("control"))

    async def add_review(body: ReviewRequest, grant: Grant) -> ReviewRecord:
        found = await store.reviews.add(body.alert, body.outcome, body.reason, grant.name)
        if found is None:
            raise Problem(404, "No such alert", "alert: no alert has this id", field="alert")
        return found

    async def hold(kind: str, subject: str, call: str, reason: str, grant: Grant) -> Response:
        await store.holds.put(kind, subject, call, reason, grant.name)
        return Response(status_code=204)

    async def let_go(kind: str, subject: str, grant: Grant) -> Response:
        if not await store.holds.remove(kind, subject, grant.name):
            raise Problem(404, "No such hold", f"the {kind} is not held")
        return Response(status_code=204)

    @routes.post("/reviews", status_code=201, responses=missing)
    async def review(body: ReviewRequest, grant: reviewer) -> ReviewRecord:
        """Say what an alert turned out to be; the latest review of an alert counts."""
        return await add_review(body, grant)

    @routes.get("/reviews", dependencies=[read])
    async def list_reviews(
        limit: Limit = 100, alert: str | None = None, outcome: ReviewOutcome | None = None
    ) -> list[ReviewRecord]:
        """Reviews, newest first."""
        return await store.reviews.latest(limit, alert, outcome)

    @routes.get(
        "/reviews/export", dependencies=[read], responses={200: {"content": {"text/csv": {}}}}
    )
    async def export(
        label: Literal["genuine", "fake", "all"] = "genuine",
        path: Annotated[str, Query(max_length=400, pattern=r"\{call\}")] = "{call}.wav",
    ) -> Response:
        """The labelled set as CSV, as `calibrate --genuine` reads it; `path` names recordings."""
        text = await store.reviews.labelled(label, path)
        name = f'attachment; filename="reviews-{label}.csv"'
        return Response(text, media_type="text/csv", headers={"Content-Disposition": name})

    @routes.get("/holds", dependencies=[read])
    async def list_holds() -> list[HoldRecord]:
        """What is not deleted."""
        return await store.holds.all()

    @routes.put("/calls/{call_id}/hold", status_code=204, responses=missing)
    async def hold_call(call_id: str, body: HoldRequest, grant: reviewer) -> Response:
        """Keep everything about a call until the hold is removed."""
        if await store.calls.find(call_id) is None:
            raise Problem(404, "No such call", "no call with this id is kept")
        return await hold("call", call_id, call_id, body.reason, grant)

    @routes.delete("/calls/{call_id}/hold", status_code=204, responses=missing)
    async def release_call(call_id: str, grant: reviewer) -> Response:
        """Let retention have the call again."""
        return await let_go("call", call_id, grant)

    @routes.put("/alerts/{alert_id}/hold", status_code=204, responses=missing)
    async def hold_alert(alert_id: str, body: HoldRequest, grant: reviewer) -> Response:
        """Keep an alert, and with it everything about its call."""
        call = await store.alerts.call_of(alert_id)
        if call is None:
            raise Problem(404, "No such alert", "no alert with this id is kept")
        return await hold("alert", alert_id, call, body.reason, grant)

    @routes.delete("/alerts/{alert_id}/hold", status_code=204, responses=missing)
    async def release_alert(alert_id: str, grant: reviewer) -> Response:
        """Let retention have the alert again."""
        return await let_go("alert", alert_id, grant)

    @routes.get("/audit", dependencies=[control])
    async def list_audit(limit: Limit = 100, subject: str | None = None) -> list[AuditRecord]:
        """Who did what, newest first."""
        return await store.audit.latest(limit, subject)

    return routes
