"""A Zoom that is none: signalling and media servers on loopback, after Zoom's documentation.

tests/flow/test_zoom_sdk.py lets Zoom's own SDK join it, so that what our client is tested with is
what that takes.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

CLIENT, SECRET, TOKEN = "an-app", "the app's secret", "the token of its webhooks"
UUID, STREAM = "uP8b/x0RTm+7==", "3f1a5c0e"
BOB, EVE = 16778240, 33555456


def sign(uuid: str = UUID, stream: str = STREAM) -> str:
    """What both handshakes must carry."""
    return hmac.new(
        SECRET.encode(), f"{CLIENT},{uuid},{stream}".encode(), hashlib.sha256
    ).hexdigest()


@dataclass
class FakeZoom:
    """Answers handshakes as Zoom does and says what a test tells it to."""

    host: str = ""
    media_host: str = ""
    """Where media is said to be; by default here."""
    status: int = 0
    """Of the answer to the first handshake."""
    media_params: dict[str, Any] | None = None
    """What the answer to the media handshake confirms; by default what was asked for."""
    mute: bool = False
    """Whether it never answers a handshake."""
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What came: the connection's name and the message."""
    signalling: ServerConnection | None = None
    media: dict[int, ServerConnection] = field(default_factory=dict)
    """By what was asked for: 1 is sound, 2 is pictures."""
    connections: int = 0
    """To the signalling server, so far."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Of the signalling server, as a webhook names it."""
        return f"ws://{self.host}/signalling"

    def of(self, kind: int) -> list[dict[str, Any]]:
        """Messages of this kind that came."""
        return [message for _, message in self.received if message.get("msg_type") == kind]

    async def tell(self, message: dict[str, Any]) -> None:
        """Say something on the signalling connection."""
        assert self.signalling is not None
        await self.signalling.send(json.dumps(message))

    async def play(self, message: dict[str, Any]) -> None:
        """Say something on a media connection, pictures on theirs."""
        kind = 2 if message.get("msg_type") == 15 else 1
        await self.media[kind].send(json.dumps(message))

    async def serve(self, connection: ServerConnection) -> None:
        """Handle a connection."""
        assert connection.request is not None
        name = connection.request.path.strip("/")
        with suppress(ConnectionClosed):
            async for data in connection:
                text = data if isinstance(data, str) else data.decode()
                message = json.loads(text)
                self.received.append((name, message))
                if not self.mute:
                    await self._answer(name, connection, message)

    async def _answer(
        self, name: str, connection: ServerConnection, message: dict[str, Any]
    ) -> None:
        kind = message["msg_type"]
        signed = message.get("signature") == sign(
            message.get("meeting_uuid", ""), message.get("rtms_stream_id", "")
        )
        if name == "signalling" and kind == 1:
            self.connections += 1
            self.signalling = connection
            url = f"ws://{self.media_host or self.host}/media"
            urls = dict.fromkeys(("audio", "video", "transcript", "all"), url)
            status = self.status if signed else 15
            answer = {"msg_type": 2, "protocol_version": 1, "sequence": 1, "status_code": status}
            await connection.send(json.dumps(answer | {"media_server": {"server_urls": urls}}))
        elif name == "media" and kind == 3:
            self.media[message["media_type"]] = connection
            params = self.media_params or message["media_params"]
            answer = {"msg_type": 4, "protocol_version": 1, "sequence": 1}
            answer |= {"status_code": 0 if signed else 15, "payload_encrypted": False}
            await connection.send(json.dumps(answer | {"media_params": params}))
        elif name == "signalling" and kind == 7:
            self.ready.set()


@asynccontextmanager
async def fake_zoom(**options: Any) -> AsyncIterator[FakeZoom]:
    """Serve one on loopback."""
    zoom = FakeZoom(**options)
    async with serve(zoom.serve, "127.0.0.1", 0, max_size=8 * 1024 * 1024) as server:
        zoom.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield zoom


def audio(user: object, payload: bytes, at: float, name: str = "") -> dict[str, Any]:
    """20 ms of somebody, at a second of Zoom's clock."""
    content = {"user_id": user, "user_name": name, "timestamp": round(at * 1000)}
    return {"msg_type": 14, "content": content | {"data": base64.b64encode(payload).decode()}}


def video(user: object, payload: bytes, at: float, name: str = "") -> dict[str, Any]:
    """One picture of somebody."""
    return {**audio(user, payload, at, name), "msg_type": 15}


def people(kind: int, *users: tuple[int, str]) -> dict[str, Any]:
    """Who came (3) or left (4)."""
    there = [{"user_id": user, "user_name": name} for user, name in users]
    event = {"event_type": kind, "timestamp": round(time.time() * 1000), "participants": there}
    return {"msg_type": 6, "event": event}


def keep_alive(sequence: int) -> dict[str, Any]:
    """Is anybody there?"""
    return {"msg_type": 12, "sequence": sequence, "timestamp": round(time.time() * 1000)}


def stream_state(state: int, reason: int = 0) -> dict[str, Any]:
    """How the stream is."""
    return {
        "msg_type": 8, "rtms_stream_id": STREAM, "state": state, "reason": reason,
        "timestamp": round(time.time() * 1000),
    }  # fmt: skip


def session_state(state: int, session: str = "one") -> dict[str, Any]:
    """How a session of the stream is."""
    return {
        "msg_type": 9, "rtms_session_id": session, "state": state, "stop_reason": 0,
        "timestamp": round(time.time() * 1000),
    }  # fmt: skip


def webhook(
    event: str, payload: dict[str, Any], stamp: float | None = None, token: str = TOKEN
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of what Zoom posts."""
    at = round(time.time() if stamp is None else stamp)
    body = json.dumps({"event": event, "event_ts": at * 1000, "payload": payload}).encode()
    base = f"v0:{at}:".encode() + body
    made = "v0=" + hmac.new(token.encode(), base, hashlib.sha256).hexdigest()
    headers = {"x-zm-request-timestamp": str(at), "x-zm-signature": made}
    return body, headers | {"content-type": "application/json"}


def started(url: str, stream: str = STREAM) -> dict[str, Any]:
    """What `meeting.rtms_started` holds."""
    return {
        "meeting_uuid": UUID, "operator_id": "xx", "rtms_stream_id": stream, "server_urls": url,
    }  # fmt: skip


async def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a state."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
