"""REST: participants who are not monitored for a while."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from monitor.calls.pause import Pause, PauseError, PauseReason
from monitor.calls.registry import Registry
from monitor.schema.records import PauseRecord, described
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem


class PauseRequest(BaseModel):
    """Why monitoring is to stop."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    reason: PauseReason


@described
class StandingRecord(TypedDict):
    """Whether a participant is paused."""

    participant: str
    paused: PauseRecord | None


def router(registry: Registry, gatekeeper: Gatekeeper) -> APIRouter:
    """Return the routes; each may be called again without another effect."""
    routes = APIRouter(
        prefix="/api/v1/calls/{call_id}/participants/{participant}",
        tags=["calls"],
        dependencies=[Depends(gatekeeper.require("control"))],
        route_class=DescribedRoute,
        responses=refusals(404, 409),
    )

    @routes.post("/pause")
    async def pause(call_id: str, participant: str, body: PauseRequest) -> StandingRecord:
        """Stop monitoring: no window is scored and no evidence kept until `resume`."""
        _known(registry, call_id, participant)
        try:
            found = registry.pause(call_id, participant, body.reason)
        except PauseError as error:
            raise Problem(409, "Cannot be paused", str(error)) from error
        return {"participant": participant, "paused": record(found)}

    @routes.post("/resume")
    async def resume(call_id: str, participant: str) -> StandingRecord:
        """Go on monitoring; the gap is accounted for as lost, `paused`."""
        _known(registry, call_id, participant)
        try:
            registry.resume(call_id, participant)
        except PauseError as error:
            raise Problem(409, "Cannot be resumed", str(error)) from error
        return {"participant": participant, "paused": None}

    return routes


def record(pause: Pause) -> PauseRecord:
    """A pause, ready for JSON."""
    return {"reason": str(pause.reason), "since": round(pause.since, 3)}


def _known(registry: Registry, call_id: str, participant: str) -> None:
    call = registry.find(call_id)
    if call is None:
        raise Problem(404, "No such call", "the call was never here or is long over")
    if participant not in {tracks.participant for tracks, _ in call.participants}:
        raise Problem(404, "No such participant", "the call has no participant of this name")
