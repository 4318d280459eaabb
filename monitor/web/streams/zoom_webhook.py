"""What Zoom tells of its streams: `POST /zoom/webhook`, signed by Zoom."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from monitor.calls.call import Call
from monitor.calls.registry import Registry
from monitor.ingest.meetings.rtms import RtmsSource
from monitor.ingest.meetings.rtms_messages import Stream
from monitor.runtime import log
from monitor.web.problems import Problem

_log = log.get(__name__)

MAX_AGE = 300.0
"""Seconds that a message may be old, or come from the future: what Zoom advises."""
_REMEMBERED = 10_000
"""Signatures within that time: far more than an app gets webhooks."""
_LONGEST = 1000
"""Characters of an id or a URL."""
_STARTED, _STOPPED, _INTERRUPTED = "rtms_started", "rtms_stopped", "rtms_interrupted"
_IDS = ("meeting_uuid", "webinar_uuid", "session_id", "engagement_id")
"""What each product calls its meeting, in the order in which Zoom's SDK asks."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What may be signed for whoever asks; a message to be signed has other characters, too."""


class ZoomGate:
    """Lets in what Zoom signed, each message once."""

    def __init__(self, secret_token: str, wall: Callable[[], float] = time.time) -> None:
        self._secret = secret_token.encode()
        self._wall = wall
        self._seen: dict[str, float] = {}

    def check(self, body: bytes, stamp: str, signature: str) -> None:
        """Raise Problem unless the message is Zoom's and fresh."""
        if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 15:
            raise _refused("x-zm-request-timestamp", "missing, or not seconds since 1970")
        wanted = "v0=" + self._sign(b"v0:" + stamp.encode() + b":" + body)
        if not hmac.compare_digest(wanted.encode(), signature.strip().encode()):
            raise _refused("x-zm-signature", "does not match the message")
        if abs(self._wall() - float(stamp)) > MAX_AGE:
            raise _refused("x-zm-request-timestamp", "too old, or in the future; check clocks")

    def seen(self, signature: str) -> bool:
        """Whether a message was acted upon before; from now on it was, unless `forget` is told."""
        now = self._wall()
        while self._seen and next(iter(self._seen.values())) < now:
            del self._seen[next(iter(self._seen))]
        if signature in self._seen:
            return True
        if len(self._seen) >= _REMEMBERED:
            raise Problem(503, "Too many requests", "x-zm-signature: too many messages at once")
        # As long as its stamp may lie in the future, and then as old as it may be.
        self._seen[signature] = now + 2 * MAX_AGE
        return False

    def forget(self, signature: str) -> None:
        """A message came to nothing: the same one may be acted upon when it comes again."""
        self._seen.pop(signature, None)

    def answer(self, plain: object) -> dict[str, str]:
        """Prove to Zoom that this endpoint knows the token; raises Problem."""
        if not isinstance(plain, str) or not _TOKEN.fullmatch(plain):
            raise _invalid("payload.plainToken", "missing, or not a token")
        return {"plainToken": plain, "encryptedToken": self._sign(plain.encode())}

    def _sign(self, message: bytes) -> str:
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def router(
    registry: Registry, gate: ZoomGate, open_source: Callable[[Stream], RtmsSource]
) -> APIRouter:
    """Return the endpoint; `open_source` raises ValueError for a host that may not be dialled."""
    routes = APIRouter()
    flowing: dict[str, RtmsSource] = {}
    """By stream; only one connection is allowed to each."""

    def start(payload: dict[str, Any]) -> None:
        stream = _stream(payload)
        if stream.id in flowing:
            return
        try:
            source = open_source(stream)
        except ValueError as error:
            raise _invalid("payload.server_urls", f"{error} (zoom.hosts)", 403) from error
        label = "".join(c for c in stream.uuid if c.isprintable())[:80]

        def over(call: Call) -> None:
            flowing.pop(stream.id, None)

        call = registry.start(source, "", label, over)
        flowing[stream.id] = source
        _log.info("zoom stream", call=call.id, ingest="zoom")

    def act(event: str, payload: dict[str, Any]) -> None:
        name = event.rpartition(".")[2]
        # Of a contact centre: `voice_rtms_started`.
        if name.endswith(_STARTED):
            start(payload)
        elif name.endswith((_STOPPED, _INTERRUPTED)):
            source = flowing.get(_word(payload, "rtms_stream_id"))
            if source is None:
                return
            if name.endswith(_STOPPED):
                source.hang_up("ended")
            elif payload.get("server_urls"):
                try:
                    source.move(_url(payload))
                except ValueError as error:
                    raise _invalid("payload.server_urls", f"{error} (zoom.hosts)", 403) from error

    @routes.post("/zoom/webhook", include_in_schema=False)
    async def hear(request: Request) -> JSONResponse:
        """Take an event: a stream that begins is monitored, one that ends is let go."""
        body = await request.body()
        signature = request.headers.get("x-zm-signature", "").strip()
        try:
            gate.check(body, request.headers.get("x-zm-request-timestamp", ""), signature)
            event, payload = _read(body)
            if event == "endpoint.url_validation":
                return JSONResponse(gate.answer(payload.get("plainToken")))
            if not gate.seen(signature):
                try:
                    act(event, payload)
                except Exception:
                    gate.forget(signature)
                    raise
        except Problem as problem:
            _log.warning("zoom webhook refused", status=problem.status, detail=problem.detail)
            raise
        return JSONResponse({})

    return routes


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the event's name and what it says; raises Problem."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("body", "not JSON", 400) from error
    event = found.get("event") if isinstance(found, dict) else None
    payload = found.get("payload") if isinstance(found, dict) else None
    if not isinstance(event, str) or not isinstance(payload, dict):
        raise _invalid("event", "an object with event and payload is needed", 400)
    # Some products wrap it once more.
    inner = payload.get("object")
    return event[:200], inner if isinstance(inner, dict) else payload


def _stream(payload: dict[str, Any]) -> Stream:
    uuid = next((found for name in _IDS if (found := _word(payload, name))), "")
    stream = _word(payload, "rtms_stream_id")
    if not uuid or not stream:
        raise _invalid("payload", f"needs rtms_stream_id and one of {', '.join(_IDS)}")
    return Stream(uuid, stream, _url(payload))


def _url(payload: dict[str, Any]) -> str:
    """The signalling server; of several, the first."""
    found = payload.get("server_urls")
    found = found[0] if isinstance(found, list) and found else found
    if not isinstance(found, str) or len(found) > _LONGEST:
        raise _invalid("payload.server_urls", "missing, or not a URL")
    return found.partition(",")[0].strip()


def _word(payload: dict[str, Any], key: str) -> str:
    found = payload.get(key)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > _LONGEST:
        raise _invalid(f"payload.{key}", "not a short text")
    return found


def _invalid(field: str, detail: str, status: int = 422) -> Problem:
    return Problem(status, "Invalid request", f"{field}: {detail}", field=field)


def _refused(field: str, detail: str) -> Problem:
    return Problem(401, "Unauthorized", f"{field}: {detail}", field=field)
