"""WHIP, the WebRTC-HTTP ingestion protocol (RFC 9725): one POST publishes a participant."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from monitor.calls.admission import CapacityError
from monitor.calls.call import Call
from monitor.calls.pause import PauseReason
from monitor.calls.registry import Registry
from monitor.ingest.webrtc import WebRtcSource
from monitor.ingest.whip import Offer, read_candidates, read_offer
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem

_MAX_BODY = 256 * 1024
"""Bytes; a browser's offer with every codec has about 10 KiB."""
_SDP, _FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
Name = Annotated[str, Query(max_length=80, pattern=r"^[\w .@+-]*$")]


@dataclass(frozen=True, slots=True)
class Session:
    """A WHIP session resource."""

    source: WebRtcSource
    call: Call
    etag: str
    """Names the ICE session; trickled candidates must say which one they are for."""


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    open_source: Callable[[Offer, str], WebRtcSource],
) -> APIRouter:
    """Return the endpoint; `open_source(offer, participant)` makes the receiving end."""
    routes = APIRouter(tags=["whip"], route_class=DescribedRoute)
    sessions: dict[str, Session] = {}
    publish = Depends(gatekeeper.require("publish"))

    @routes.options("/whip", status_code=204)
    async def show_whip() -> Response:
        """Say what may be posted."""
        return Response(status_code=204, headers={"Accept-Post": _SDP})

    @routes.post(
        "/whip",
        status_code=201,
        dependencies=[publish],
        responses={201: {"content": {_SDP: {}}}, **refusals(400, 413, 415, 503)},
        openapi_extra={"requestBody": {"required": True, "content": {_SDP: {}}}},
    )
    async def publish_participant(
        request: Request,
        participant: Name = "remote",
        call: Name = "",
        paused: PauseReason | None = None,
    ) -> Response:
        """Take an SDP offer; the answer's Location is the session.

        With `paused` nothing is monitored before the participant is resumed.
        """
        _content_type(request, _SDP)
        registry.admit("whip")
        offer = read_offer((await _body(request)).replace("\r\n", "\n").replace("\n", "\r\n"))
        source = open_source(offer, participant or "remote")
        answer = await source.answer()

        def ended(call: Call) -> None:
            sessions.pop(call.id, None)

        try:
            started = registry.start(source, participant or "remote", call, ended)
        except CapacityError:
            # The last slot went while the answer was made.
            await source.discard()
            raise
        if paused is not None:
            started.pause(participant or "remote", paused)
        session = Session(source, started, f'"{secrets.token_hex(8)}"')
        sessions[started.id] = session
        return Response(
            answer,
            status_code=201,
            media_type=_SDP,
            headers={
                "Location": f"/whip/{started.id}",
                "ETag": session.etag,
                "Accept-Patch": _FRAGMENT,
                "X-Call-Id": started.id,
            },
        )

    @routes.patch(
        "/whip/{session_id}",
        status_code=204,
        dependencies=[publish],
        responses=refusals(404, 412, 415, 422, 428),
        openapi_extra={"requestBody": {"required": True, "content": {_FRAGMENT: {}}}},
    )
    async def add_candidates(session_id: str, request: Request) -> Response:
        """Take trickled candidates."""
        session = _find(sessions, session_id)
        _content_type(request, _FRAGMENT)
        match = request.headers.get("if-match")
        if match is None:
            raise Problem(428, "Precondition required", "If-Match: the session's ETag is needed")
        if match == "*":
            raise Problem(
                422,
                "ICE restart not supported",
                "If-Match: '*' asks for an ICE restart; publish again instead",
            )
        if match != session.etag:
            raise Problem(412, "Precondition failed", "If-Match: not this session's ETag")
        await session.source.add_candidates(read_candidates(await _body(request)))
        return Response(status_code=204)

    @routes.delete("/whip/{session_id}", dependencies=[publish], responses=refusals(404))
    async def end_session(session_id: str) -> Response:
        """End the session and its call."""
        session = _find(sessions, session_id)
        session.source.hang_up()
        await registry.wait(session.call)
        return Response(status_code=200)

    return routes


def _find(sessions: dict[str, Session], session_id: str) -> Session:
    if session_id not in sessions:
        raise Problem(404, "No such session", "the session has ended or never was")
    return sessions[session_id]


def _content_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise Problem(
            415,
            "Unsupported media type",
            f"Content-Type: must be {wanted}",
            {"Accept-Post": _SDP},
            field="content-type",
        )


async def _body(request: Request) -> str:
    size = 0
    parts = []
    async for part in request.stream():
        size += len(part)
        if size > _MAX_BODY:
            raise Problem(413, "Too large", f"body: at most {_MAX_BODY} bytes", field="body")
        parts.append(part)
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "Malformed body", "body: not UTF-8", field="body") from error
