"""WHIP, the WebRTC-HTTP ingestion protocol (RFC 9725): one POST publishes a participant."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from monitor.calls.admission import CapacityError
from monitor.calls.call import Call
from monitor.calls.pause import PauseReason
from monitor.calls.registry import Registry
from monitor.ingest.connection.anomaly import Anomalies
from monitor.ingest.connection.room import Room
from monitor.ingest.webrtc.whip_offer import Offer, read_candidates, read_offer
from monitor.ingest.webrtc.whip_source import WebRtcSource
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute, refusals
from monitor.web.entrance import Entrance
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
    room: Room
    owner: str
    """By whose token it is sent."""
    etag: str
    """Names the ICE session; trickled candidates must say which one they are for."""


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    open_source: Callable[[Offer, str], WebRtcSource],
    entrance: Entrance | None = None,
) -> APIRouter:
    """Return the endpoint; `open_source(offer, participant)` makes the receiving end.

    `entrance` is that of a node of a cluster.
    """
    entrance = entrance or Entrance()
    routes = APIRouter(tags=["whip"], route_class=DescribedRoute)
    sessions: dict[str, Session] = {}

    def guests() -> Iterator[tuple[str, bool]]:
        rooms: set[int] = set()
        for session in sessions.values():
            if session.room.holds(session.source):
                if id(session.room) in rooms:
                    yield session.owner, session.source.heard
                rooms.add(id(session.room))

    registry.guests = guests
    publish = Depends(gatekeeper.require("publish"))

    @routes.options("/whip", status_code=204)
    async def show_whip() -> Response:
        """Say what may be posted."""
        return Response(status_code=204, headers={"Accept-Post": _SDP})

    @routes.post(
        "/whip",
        status_code=201,
        responses={201: {"content": {_SDP: {}}}, **refusals(400, 413, 415, 503)},
        openapi_extra={"requestBody": {"required": True, "content": {_SDP: {}}}},
    )
    async def publish_participant(
        request: Request,
        by: Annotated[str, Depends(entrance.publish(gatekeeper))],
        participant: Name = "remote",
        call: Name = "",
        paused: PauseReason | None = None,
    ) -> Response:
        """Take an SDP offer; the answer's Location is the session.

        Offers with the same `call` are participants of one call, if they have different names.
        With `paused` nothing is monitored before the participant is resumed.
        """
        _content_type(request, _SDP)
        owner = f"token {by}"
        # Each participant takes up as much of the machine as a call, from its offer on.
        with registry.keep_place("whip", owner):
            text = (await _body(request)).replace("\r\n", "\n").replace("\n", "\r\n")
            offer = read_offer(text)
            source = open_source(offer, participant or "remote")
            answer = await source.answer()
        who = participant or "remote"

        def ended(call: Call) -> None:
            for name in [name for name, session in sessions.items() if session.call is call]:
                del sessions[name]

        joined = next(
            (
                s
                for s in sessions.values()
                if call and s.call.label == call and s.room.has_place(who)
            ),
            None,
        )
        try:
            if joined is not None:
                registry.admit("whip", owner)
                room, started = joined.room, joined.call
                room.join(who, source)
                started.join(who)
            else:
                room = Room("whip", who, source)
                started = registry.start(room, who, call, ended, owner=owner)
        except CapacityError:
            # The machine has become too late while the answer was made.
            await source.discard()
            raise
        anomalies = Anomalies("whip", registry.anomaly)
        for anomaly in offer.refused:
            anomalies.note(anomaly, started.id)
        if paused is not None:
            started.pause(who, paused)
        session = Session(source, started, room, owner, f'"{secrets.token_hex(8)}"')
        name = started.id if joined is None else f"{started.id}.{secrets.token_hex(4)}"
        sessions[name] = session
        return Response(
            answer,
            status_code=201,
            media_type=_SDP,
            headers={
                "Location": f"{entrance.url}/whip/{name}",
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
        """End the session, and its call if nobody else is left in it."""
        session = _find(sessions, session_id)
        session.source.hang_up()
        if session.room.part(session.source):
            await registry.wait(session.call)
        sessions.pop(session_id, None)
        return Response(status_code=200)

    return routes


def _find(sessions: dict[str, Session], session_id: str) -> Session:
    session = sessions.get(session_id)
    if session is not None and not session.room.holds(session.source):
        # The participant has left a call that goes on.
        del sessions[session_id]
        session = None
    if session is None:
        raise Problem(404, "No such session", "the session has ended or never was")
    return session


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
