"""WebSockets that platforms open, one a call: `/telephony/{dialect}`, `/meetings/{dialect}`."""

import base64
from collections.abc import Mapping
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from monitor.calls.admission import CapacityError
from monitor.ingest.meetings import json_meeting
from monitor.ingest.meetings.jitsi import JitsiParser
from monitor.ingest.telephony import binary_media, json_media
from monitor.ingest.telephony.audiohook import AudioHookParser
from monitor.ingest.telephony.dialect import Parser, TelephonyError
from monitor.runtime import log
from monitor.web.api.events import KINDS, Event, EventStream
from monitor.web.auth import Gatekeeper
from monitor.web.problems import Problem
from monitor.web.signatures import AudioHookGate, TwilioGate
from monitor.web.streams.telephony_call import Close, Streams
from monitor.web.streams.telling import Telling

_log = log.get(__name__)

_LONGEST_REASON = 120
"""Bytes; RFC 6455 leaves 123 for the reason of a close."""


def router(
    streams: Streams,
    gatekeeper: Gatekeeper,
    audiohook: AudioHookGate | None = None,
    twilio_gate: TwilioGate | None = None,
    events: EventStream | None = None,
) -> APIRouter:
    """Return the endpoints; without its gate AudioHook is not offered, Twilio needs a token.

    `events`: what clients of our own may ask to be told of.
    """
    routes = APIRouter()

    def admit(dialect: str, socket: WebSocket, headers: Mapping[str, str]) -> str:
        """Return by whom it is sent; raises Problem unless the request may publish."""
        if dialect == "audiohook":
            if audiohook is None:
                raise Problem(404, "Not configured", "telephony.audiohook: has no api_key")
            audiohook.check(_target(socket), headers)
        elif dialect == "twilio" and twilio_gate is not None:
            twilio_gate.check(_target(socket), headers)
        else:
            return f"token {gatekeeper.allow(_token(socket, headers), 'publish').name}"
        return f"account {dialect}"

    def read(dialect: str, socket: WebSocket, headers: Mapping[str, str]) -> Parser:
        """Return what reads this dialect; raises Problem for an unknown one or wrong query."""
        if dialect == "audiohook":
            organization = headers.get("audiohook-organization-id", "")
            session = headers.get("audiohook-session-id", "")
            return AudioHookParser(organization, session, streams.options.participants)
        if dialect in json_media.DIALECTS:
            return json_media.JsonParser(json_media.DIALECTS[dialect])
        if dialect in json_meeting.DIALECTS:
            return json_meeting.MeetingParser(json_meeting.DIALECTS[dialect])
        if dialect == "jitsi":
            return JitsiParser()
        if dialect not in binary_media.DIALECTS:
            tables = (json_media.DIALECTS, binary_media.DIALECTS, json_meeting.DIALECTS)
            known = ", ".join(sorted([*(d for t in tables for d in t), "audiohook", "jitsi"]))
            raise Problem(404, "No such dialect", f"dialect: must be one of {known}")
        try:
            return binary_media.BinaryParser(binary_media.DIALECTS[dialect], socket.query_params)
        except TelephonyError as error:
            raise Problem(422, "Invalid request", str(error), field=error.field) from error

    def told(dialect: str, socket: WebSocket, headers: Mapping[str, str]) -> Telling | None:
        """Return what tells a client of its call; raises Problem if it may not hear of it."""
        wanted = frozenset(socket.query_params.get("events", "").split(",")) - {""}
        if not wanted or events is None or dialect != "pcm":
            return None
        if not wanted <= KINDS:
            known = ", ".join(sorted(KINDS))
            raise Problem(422, "Invalid request", f"?events: of {known}", field="?events")
        gatekeeper.allow(_token(socket, headers), "read")
        return Telling(events, wanted, lambda event: _send(socket, _written(event)))

    @routes.websocket("/meetings/{dialect}")
    @routes.websocket("/telephony/{dialect}")
    async def attach(socket: WebSocket, dialect: str) -> None:
        """Take a call's stream; refused before it is accepted, with an HTTP status."""
        headers = _joined(socket)
        try:
            owner = admit(dialect, socket, headers)
            parser = read(dialect, socket, headers)
            telling = told(dialect, socket, headers)
            label = socket.query_params.get("call", "")[:80]
            with streams.open(dialect, parser, label, owner, telling) as stream:
                offered = socket.scope.get("subprotocols") or [None]
                await socket.accept(offered[0])
                close = await stream.run(lambda: _receive(socket), lambda t: _send(socket, t))
                await _close(socket, close)
        except Problem as problem:
            _log.warning(
                "telephony refused",
                ingest=dialect[:20],
                status=problem.status,
                detail=problem.detail,
            )
            await socket.send_denial_response(problem.response())
        except CapacityError as error:
            wait = {"Retry-After": str(error.retry_after)}
            full = Problem(503, "No free call slot", str(error), wait)
            await socket.send_denial_response(full.response())

    return routes


def _joined(socket: WebSocket) -> dict[str, str]:
    """Headers by name in lower case; repeated ones joined, as signatures see them."""
    found: dict[str, str] = {}
    for name, value in socket.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _target(socket: WebSocket) -> str:
    """Path and query as the client sent them."""
    path: bytes = socket.scope.get("raw_path") or socket.scope["path"].encode()
    query: bytes = socket.scope.get("query_string") or b""
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _token(socket: WebSocket, headers: Mapping[str, str]) -> str:
    """The API token, in whichever place the platform can put one."""
    # First: some sign in with a token of their own, whatever the URL holds.
    if given := socket.query_params.get("token"):
        return given
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value
    if kind.lower() == "basic":
        with suppress(ValueError):
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
    return headers.get("x-telnyx-streaming-auth-token", "")


async def _receive(socket: WebSocket) -> str | bytes | None:
    message = await socket.receive()
    if message["type"] != "websocket.receive":
        return None
    text: str | None = message.get("text")
    data: bytes = message.get("bytes") or b""
    return data if text is None else text


async def _send(socket: WebSocket, text: str) -> None:
    # The far end may be gone already; the next receive says so.
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_text(text)


def _written(event: Event) -> str:
    return f'{{"event":"{event.kind}","data":{event.data}}}'


async def _close(socket: WebSocket, close: Close) -> None:
    reason = close.reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(close.code, reason)
