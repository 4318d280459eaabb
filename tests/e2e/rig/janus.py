"""Debian's Janus with one video room, and a participant's tracks forwarded as RTP."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.e2e.rig.namespace import ADDRESS
from tests.e2e.rig.process import Process, Started, free_port

JANUS = "/usr/bin/janus"
ROOM = 1234
_UNUSED = {
    "plugins": "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall "
    "voicemail",
    "transports": "mqtt nanomsg pfunix rabbitmq websockets",
}


class Janus(Started):
    """Listens for its HTTP interface on loopback; media goes through the namespace's address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        config = folder / "janus"
        config.mkdir(parents=True)
        unused = "\n".join(
            f'{kind}: {{ disable = "{",".join(f"libjanus_{n}.so" for n in names.split())}" }}'
            for kind, names in _UNUSED.items()
        )
        (config / "janus.jcfg").write_text(
            f'general: {{ debug_level = 4 }}\nnat: {{ ice_enforce_list = "{ADDRESS}" }}\n{unused}\n'
        )
        (config / "janus.transport.http.jcfg").write_text(
            f'general: {{ base_path = "/janus", http = true, port = {self.port}, '
            'ip = "127.0.0.1", https = false }\n'
        )
        (config / "janus.plugin.videoroom.jcfg").write_text(
            f'room-{ROOM}: {{ description = "test", publishers = 6, audiocodec = "opus", '
            'videocodec = "vp8" }\n'
        )
        self.process = Process([JANUS, "-F", str(config)], folder / "janus.log")

    def start(self) -> Self:
        self.process.start()
        self.process.wait_ready(self._ready)
        return self

    def stop(self) -> None:
        self.process.stop()

    def _ready(self) -> bool:
        try:
            answer = httpx.get(self._at("info"), timeout=2, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def _at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/janus/{path}".rstrip("/")

    def session(self) -> "Room":
        """A handle on the room."""
        made = self.ask("", {"janus": "create"})["data"]["id"]
        plugin = {"janus": "attach", "plugin": "janus.plugin.videoroom"}
        handle = self.ask(str(made), plugin)["data"]["id"]
        return Room(self, str(made), f"{made}/{handle}")

    def ask(self, path: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """POST a request; the answer, which may only say that more will come."""
        body = {**message, "transaction": secrets.token_hex(6)}
        answer = httpx.post(self._at(path), json=body, timeout=10, trust_env=False)
        found: dict[str, Any] = answer.raise_for_status().json()
        assert found["janus"] != "error", found
        return found

    def event(self, session: str) -> dict[str, Any]:
        """The next event of a session."""
        at = self._at(session)
        answer = httpx.get(at, params={"maxev": 1}, timeout=40, trust_env=False)
        found = answer.raise_for_status().json()
        return dict(found[0] if isinstance(found, list) else found)


class Room:
    """One participant's handle on the video room."""

    def __init__(self, janus: Janus, session: str, handle: str) -> None:
        self._janus = janus
        self._session = session
        self._handle = handle
        self.publisher = 0

    def publish(self, offer: str) -> str:
        """Join and publish an SDP offer; the answer."""
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": ROOM}
        jsep = {"type": "offer", "sdp": offer}
        self._janus.ask(self._handle, {"janus": "message", "body": body, "jsep": jsep})
        while True:
            event = self._janus.event(self._session)
            if (data := event.get("plugindata", {}).get("data", {})).get("videoroom") == "joined":
                self.publisher = data["id"]
                answer: str = event["jsep"]["sdp"]
                return answer

    def forward(self, ports: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
        """Send each track (by mid) to a port of loopback with a payload type."""
        streams = [{"mid": mid, "port": port, "pt": pt} for mid, (port, pt) in ports.items()]
        body = {
            "request": "rtp_forward",
            "room": ROOM,
            "publisher_id": self.publisher,
            "host": "127.0.0.1",
            "streams": streams,
        }
        made = self._janus.ask(self._handle, {"janus": "message", "body": body})
        found: dict[str, Any] = made["plugindata"]["data"]
        assert found["videoroom"] == "rtp_forward", found
        return found
