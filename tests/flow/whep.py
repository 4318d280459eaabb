"""A WHEP server for tests: HTTP by hand, media by aiortc."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class WhepServer:
    """Sends the tracks that `tracks` makes to whoever posts an offer."""

    tracks: Callable[[], list[MediaStreamTrack]]
    token: str = ""
    """Needed as a bearer; "" asks for none."""
    override: Callable[[Request], Answer | None] = lambda request: None
    """Answers in place of the server."""
    requests: list[Request] = field(default_factory=list)
    connections: dict[str, RTCPeerConnection] = field(default_factory=dict)
    """By resource path."""
    port: int = 0

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["WhepServer"]:
        """Listen at 127.0.0.1."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.drop()

    async def drop(self) -> None:
        """Close every media connection, as a server that restarts would."""
        for connection in list(self.connections.values()):
            await connection.close()
        self.connections.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._read(reader)
            self.requests.append(request)
            answer = self.override(request) or await self._respond(request)
            head = {"Content-Length": str(len(answer.body)), "Connection": "close"}
            lines = [f"{k}: {v}" for k, v in (head | answer.headers).items()]
            text = "\r\n".join([f"HTTP/1.1 {answer.status} X", *lines, "", answer.body])
            writer.write(text.encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            # A client that thinks better of it.
            return
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body.decode())

    async def _respond(self, request: Request) -> Answer:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401)
        if request.method == "DELETE":
            connection = self.connections.pop(request.path, None)
            if connection is None:
                return Answer(404)
            await connection.close()
            return Answer(200)
        connection = RTCPeerConnection()
        await connection.setRemoteDescription(RTCSessionDescription(request.body, "offer"))
        ours = {track.kind: track for track in self.tracks()}
        for transceiver in connection.getTransceivers():
            if (track := ours.get(transceiver.kind)) is not None:
                connection.addTrack(track)
        await connection.setLocalDescription(await connection.createAnswer())
        path = f"/session/{len(self.requests)}"
        self.connections[path] = connection
        sdp = connection.localDescription.sdp
        for kind in {"audio", "video"} - ours.keys():
            # As other stacks reject a section; aiortc writes `inactive`.
            sdp = re.sub(rf"m={kind} \d+", f"m={kind} 0", sdp)
        return Answer(201, {"Content-Type": "application/sdp", "Location": path}, sdp)
