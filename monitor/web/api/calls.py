"""REST: calls, sources, alerts, and the live event stream."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.ingest.connection.location import located
from monitor.schema import wire
from monitor.schema.records import AlertRecord, CallSummary
from monitor.store.calls import PointRecord
from monitor.store.store import Store
from monitor.types import Allowance
from monitor.types.protocols import Source
from monitor.web.api import pauses
from monitor.web.api.begin import begun
from monitor.web.api.events import KINDS, EventStream
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem

_PULLED = ("rtsp", "whep", "rtp")
"""How the media of sources comes in; telephony and WHIP publish."""


class SourceRequest(BaseModel):
    """A stream to pull."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    sdp: str = Field("", max_length=16 * 1024)
    """In place of `uri`: a description (RFC 8866) of RTP that is sent here."""
    uri: str = Field("", validate_default=True)
    """An rtsp://, rtsps://, whep+http:// or whep+https:// URL; credentials in it are used and
    never shown again."""
    participant: str = Field("remote", min_length=1, max_length=80)
    label: str = Field("", max_length=80)
    token: str = Field("", max_length=8192, pattern=r"^[\x21-\x7e]*$")
    """Sent to a WHEP server as `Authorization: Bearer`; never shown again."""
    transport: Literal["tcp", "udp"] | None = None
    open_timeout: float | None = Field(None, gt=0, le=60)
    read_timeout: float | None = Field(None, gt=0, le=60)
    give_up_after: float | None = Field(None, ge=0)
    tls_verify: bool | None = None
    """These in place of what the settings say."""

    @field_validator("uri")
    @classmethod
    def _pulled(cls, value: str, info: ValidationInfo) -> str:
        # `sdp` is checked before; where it is wrong, this one is not missed as well.
        if "sdp" in info.data and bool(value) == bool(info.data["sdp"]):
            raise ValueError("needs either uri or sdp")
        if value:
            located(value)
        return value


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    store: Store,
    events: EventStream,
    open_source: Callable[[SourceRequest], Source],
    allowance: Callable[[str, str], Allowance | None],
) -> APIRouter:
    """Return the routes under /api/v1.

    `open_source` makes a pull from a request; `allowance` knows why a call's participant may
    speak with a synthetic voice.
    """
    routes = APIRouter(prefix="/api/v1", route_class=DescribedRoute)
    read = Depends(gatekeeper.require("read"))
    control = Depends(gatekeeper.require("control"))

    def record(call: CallRecord) -> CallSummary:
        return _record(call, allowance)

    @routes.get("/calls", tags=["calls"], dependencies=[read])
    async def list_calls(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100, active: bool | None = None
    ) -> list[CallSummary]:
        """Calls in progress, then ended ones, newest first; kept ones of earlier runs last."""
        known = list(registry)
        wanted = (c for c in known if active is None or (c.ended is None) == active)
        found = [record(call) for call, _ in zip(wanted, range(limit), strict=False)]
        if active is not True and len(found) < limit:
            found += await store.calls.latest(limit - len(found), [call.id for call in known])
        return found

    @routes.get(
        "/calls/{call_id}", tags=["calls"], dependencies=[read], responses=refusals(404, 503)
    )
    async def get_call(call_id: str) -> CallSummary:
        """One call, in progress or kept."""
        call = registry.find(call_id)
        if call is not None:
            return record(call)
        kept = await store.calls.find(call_id)
        if kept is None:
            raise _no_such_call()
        return kept

    @routes.get(
        "/calls/{call_id}/timeline",
        tags=["calls"],
        dependencies=[read],
        responses=refusals(404, 503),
    )
    async def get_timeline(call_id: str, participant: str | None = None) -> list[PointRecord]:
        """A call's windows as far as they are kept; a call in progress is seconds behind."""
        if registry.find(call_id) is None and await store.calls.find(call_id) is None:
            raise _no_such_call()
        return await store.calls.timeline(call_id, participant)

    @routes.delete(
        "/calls/{call_id}",
        tags=["calls"],
        status_code=204,
        dependencies=[control],
        responses=refusals(404),
    )
    async def stop_call(call_id: str) -> Response:
        """Stop monitoring a call; its last verdict is made first."""
        _find(registry, call_id)
        await registry.stop(call_id)
        return Response(status_code=204)

    @routes.post(
        "/sources",
        tags=["sources"],
        status_code=201,
        dependencies=[control],
        responses=refusals(502, 503),
    )
    async def add_source(body: SourceRequest, response: Response) -> CallSummary:
        """Pull a stream; answers when media flows, or with what is wrong."""
        field = "sdp" if body.sdp else "uri"
        try:
            source = open_source(body)
        except ValueError as error:
            raise Problem(422, "Invalid request", str(error), field=field) from error
        call = registry.start(source, body.participant, body.label)
        await begun(registry, call, 502, "Source failed", field)
        response.headers["Location"] = f"/api/v1/sources/{call.id}"
        return record(call.record())

    @routes.get("/sources", tags=["sources"], dependencies=[read])
    async def list_sources() -> list[CallSummary]:
        """Streams that are being pulled."""
        return [record(c) for c in registry if c.ended is None and c.ingest in _PULLED]

    @routes.delete(
        "/sources/{call_id}",
        tags=["sources"],
        status_code=204,
        dependencies=[control],
        responses=refusals(404),
    )
    async def remove_source(call_id: str) -> Response:
        """Stop pulling a stream."""
        _find(registry, call_id)
        await registry.stop(call_id)
        return Response(status_code=204)

    @routes.get("/alerts", tags=["alerts"], dependencies=[read])
    async def list_alerts(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100, call: str | None = None
    ) -> list[AlertRecord]:
        """Alert messages, newest first; those that the store has taken."""
        return await store.alerts.latest(limit, call)

    @routes.get(
        "/events",
        tags=["events"],
        responses={
            **refusals(429),
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        },
    )
    async def stream_events(
        by: Annotated[Grant, read],
        call: str | None = None,
        events_wanted: Annotated[str, Query(alias="events")] = "",
    ) -> StreamingResponse:
        """Live events as server-sent events (WHATWG HTML, section 9.2).

        `events` names those that are wanted, with commas; all if left out. A slow reader is told
        how many it `missed`.
        """
        kinds = frozenset(filter(None, events_wanted.split(",")))
        if unknown := kinds - KINDS:
            detail = f"events: no such event: {', '.join(sorted(unknown))}"
            raise Problem(422, "Invalid request", detail, field="events")
        return StreamingResponse(
            events.open(by.name, call, kinds),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return routes


def _find(registry: Registry, call_id: str) -> CallRecord:
    call = registry.find(call_id)
    if call is None:
        raise _no_such_call()
    return call


def _no_such_call() -> Problem:
    return Problem(404, "No such call", "the call was never here or is long over")


def _record(call: CallRecord, allowance: Callable[[str, str], Allowance | None]) -> CallSummary:
    started = call.started_at
    return {
        "id": call.id,
        "label": call.label,
        "ingest": call.ingest,
        "started_at": started.isoformat(timespec="milliseconds") if started else None,
        "ended": call.ended,
        "detail": call.detail,
        "media": call.media,
        "participants": [
            {
                "name": tracks.participant,
                "audio": tracks.audio,
                "video": tracks.video,
                "verdict": wire.verdict(verdict) if verdict else None,
                "paused": pauses.record(paused)
                if (paused := call.paused.get(tracks.participant)) is not None
                else None,
                "clock": wire.clock(clock)
                if (clock := call.clocks.get(tracks.participant)) is not None
                else None,
                "allowed": wire.allowance(allowed)
                if (allowed := allowance(call.id, tracks.participant)) is not None
                else None,
            }
            for tracks, verdict in call.participants
        ],
    }
