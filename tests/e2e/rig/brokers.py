"""Debian's mosquitto and nats-server, and who listens there."""

import asyncio
import json
import queue
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import nats
from nats.js.errors import NotFoundError
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.e2e.rig.process import PATIENCE, Process, Started, free_port

MOSQUITTO = "/usr/sbin/mosquitto"
NATS = "/usr/sbin/nats-server"


class Broker(Started):
    """One that listens on a port of its own, and keeps it when it is started again."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self.port = port
        self.process = Process(command, log)

    def start(self) -> Self:
        """Run it."""
        self.process.start()
        self.process.wait_ready(self._listens)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Mosquitto(Broker):
    """An MQTT broker.

    `users` are names and passwords; without any everybody may connect. `writers` may publish.
    `certificate` is one file with key and certificate.
    """

    def __init__(
        self,
        folder: Path,
        users: dict[str, str] | None = None,
        writers: Sequence[str] = (),
        certificate: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        lines = ["user root", f"listener {port} 127.0.0.1"]
        if users:
            known = folder / "users"
            known.touch(0o600)
            for name, password in users.items():
                subprocess.run(
                    ["mosquitto_passwd", "-b", str(known), name, password],
                    check=True, capture_output=True,
                )  # fmt: skip
            rights = folder / "rights"
            rights.write_text(
                "".join(
                    f"user {name}\ntopic {'readwrite' if name in writers else 'read'} #\n"
                    for name in users
                )
            )
            rights.chmod(0o600)
            lines += ["allow_anonymous false", f"password_file {known}", f"acl_file {rights}"]
        else:
            lines.append("allow_anonymous true")
        if certificate is not None:
            lines += [f"certfile {certificate}", f"keyfile {certificate}"]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        super().__init__([MOSQUITTO, "-c", str(config)], port, folder / "mosquitto.log")


class Listener:
    """Subscribes to everything that a mosquitto without users has."""

    def __init__(self, broker: Mosquitto) -> None:
        self._came: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
        subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)

        def on_connect(client: Client, *_: object) -> None:
            client.subscribe("#", options=SubscribeOptions(qos=1))

        self._client.on_connect = on_connect
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_message = lambda _client, _user, message: self._came.put(message)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        subscribed.get(timeout=30 * PATIENCE)

    def next(self) -> MQTTMessage:
        """The next message; raises queue.Empty if none comes."""
        return self._came.get(timeout=30 * PATIENCE)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def key(message: MQTTMessage) -> str:
    """The id that an MQTT message carries."""
    properties: Any = message.properties
    return str(dict(properties.UserProperty)["id"])


class NatsServer(Broker):
    """A NATS server with JetStream; `settings` are more lines of its configuration."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/store" }}\n{settings}'
        )
        super().__init__([NATS, "-c", str(config)], port, folder / "nats.log")

    async def make_stream(self, name: str, subject: str) -> None:
        """Let a stream take a subject."""
        client = await nats.connect(f"nats://127.0.0.1:{self.port}")
        await client.jetstream().add_stream(name=name, subjects=[subject])
        await client.close()

    async def stored(self, name: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Headers and body of everything in a stream."""
        client = await nats.connect(f"nats://127.0.0.1:{self.port}")
        try:
            manager = client.jsm()
            state = (await manager.stream_info(name)).state
            found = []
            for number in range(state.first_seq, state.last_seq + 1):
                with suppress(NotFoundError):
                    message = await manager.get_msg(name, number)
                    found.append((message.headers or {}, json.loads(message.data or b"{}")))
            return found
        finally:
            await client.close()

    def stored_now(self, name: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """The same, for who has no event loop."""
        return asyncio.run(self.stored(name))
