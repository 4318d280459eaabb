"""What only decodes: the least that any monitor of these calls costs. `listening on URL`, as serve.

The same endpoints as the service, so that the same callers call it. Media is received and decoded
with the same libraries in the most direct way, and thrown away: nothing is converted, nothing is
looked at, nothing is kept.
"""

import asyncio
import base64
import json
import socket
import threading
from typing import Any

import av
import uvicorn
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import Response

from monitor.ingest.codecs.g711 import Codec, decode
from monitor.ingest.rtp.aiortc_adapter import offer_loopback


def application() -> FastAPI:
    """The endpoints."""
    app = FastAPI(docs_url=None, redoc_url=None)
    connections: dict[str, RTCPeerConnection] = {}
    pulls: dict[str, threading.Event] = {}

    @app.websocket("/telephony/twilio")
    async def telephony(stream: WebSocket) -> None:
        await stream.accept()
        try:
            while True:
                message = json.loads(await stream.receive_text())
                if message["event"] == "media":
                    decode(Codec.MULAW, base64.b64decode(message["media"]["payload"]))
        except WebSocketDisconnect:
            return

    @app.post("/whip")
    async def whip(request: Request) -> Response:
        connection = RTCPeerConnection()
        sink = MediaBlackhole()
        connection.on("track", lambda track: _drain(sink, track))
        offer = RTCSessionDescription((await request.body()).decode(), "offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        await sink.start()
        name = f"floor-{len(connections)}"
        connections[name] = connection
        headers = {"Location": f"/whip/{name}", "X-Call-Id": name}
        return Response(connection.localDescription.sdp, 201, headers, "application/sdp")

    @app.delete("/whip/{name}")
    async def hang_up(name: str) -> None:
        await connections[name].close()

    @app.post("/api/v1/sources")
    async def pull(wanted: dict[str, Any]) -> dict[str, str]:
        name = f"floor-{len(pulls)}"
        pulls[name] = threading.Event()
        threading.Thread(target=_watch, args=(wanted["uri"], pulls[name]), daemon=True).start()
        return {"id": name}

    @app.delete("/api/v1/calls/{name}")
    async def stop(name: str) -> None:
        pulls[name].set()

    return app


def _drain(sink: MediaBlackhole, track: MediaStreamTrack) -> None:
    sink.addTrack(track)


def _watch(uri: str, stopped: threading.Event) -> None:
    with av.open(uri, format="rtsp", options={"rtsp_transport": "tcp"}) as container:
        streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        for stream in container.streams.video[:1]:
            stream.thread_type = "NONE"
        for packet in container.demux(streams):
            packet.decode()
            if stopped.is_set():
                return


def main() -> None:
    """Serve on a free port of loopback."""
    offer_loopback()
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(application(), log_level="error", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
