"""MQTT 5 brokers (extra `mqtt`): QoS 1, by paho's client on our event loop.

paho's own loops wait with select(), which knows no descriptor above 1023: a service with many calls
has those. So the event loop tells the client when its socket can be read or written.
"""

import asyncio
import ssl
import threading
from typing import Any, cast
from urllib.parse import urlsplit

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from monitor.delivery.bus import CONTENT_TYPE, Login
from monitor.runtime.tasks import begin
from monitor.schema.messages import DeliveryError

CONNECT_TIMEOUT = 10.0
"""Seconds for each of the blocking steps of a connection, which run in a thread."""
_KEEP_ALIVE = 60
_TICK = 1.0
"""Seconds between two looks at whether the broker still answers."""
_FAILURE = 128
"""MQTT 5, 2.4: reason codes from here on are failures."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class _ClosingSocket(ssl.SSLSocket):
    """paho leaves one open whose handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class MqttBroker:
    """Where alerts are published: a URL, a topic, and who we are."""

    def __init__(
        self, url: str, topic: str, login: Login, client_id: str, tls: ssl.SSLContext
    ) -> None:
        """With an empty `client_id` the broker chooses one."""
        parts = urlsplit(url)
        self._peer = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._tls = tls if parts.scheme == "mqtts" else None
        tls.sslsocket_class = _ClosingSocket
        self._topic = topic
        self._login = login
        self._client_id = client_id

    async def connect(self) -> "MqttConnection":
        """Connect and log in; raises DeliveryError."""
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        if self._login.username is not None:
            client.username_pw_set(self._login.username, self._login.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        connection = MqttConnection(client, self._topic)
        try:
            await self._dial(client)
            await connection.accepted()
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _dial(self, client: Client) -> None:
        given_up = threading.Event()

        def dial() -> None:
            try:
                client.connect(*self._peer, keepalive=_KEEP_ALIVE)
            finally:
                if given_up.is_set():
                    _hang_up(client)

        try:
            await asyncio.to_thread(dial)
        except ssl.SSLError as error:
            raise DeliveryError(f"TLS {error.reason or type(error).__name__}") from error
        except (OSError, ValueError) as error:
            raise DeliveryError(type(error).__name__) from error
        except asyncio.CancelledError:
            given_up.set()
            raise


class MqttConnection:
    """One client, which is used for one connection only."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[ReasonCode]] = {}
        """Publications that are not acknowledged, by packet number."""
        self._descriptor: int | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._over = False

    @property
    def alive(self) -> bool:
        """Whether nobody has ended it."""
        return not self._over

    async def accepted(self) -> None:
        """Wait for the broker's welcome; raises DeliveryError with its reason otherwise."""
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        socket = client.socket()
        if socket is None:
            raise DeliveryError("connection lost")
        self._descriptor = socket.fileno()
        self._loop.add_reader(self._descriptor, self._read)
        self._ticking = begin("delivery", self._tick())
        # What came during the handshake waits in TLS' own buffer, where no descriptor shows it.
        self._read()
        self._write()
        await self._accepted

    async def publish(self, key: str, body: bytes) -> None:
        """Publish with QoS 1; a broker's refusal is a failure, whatever it says."""
        properties = cast(Any, Properties)(PacketTypes.PUBLISH)
        properties.ContentType = CONTENT_TYPE
        properties.PayloadFormatIndicator = 1
        properties.UserProperty = [("id", key)]
        if self._over:
            raise DeliveryError("connection lost")
        try:
            sent = self._client.publish(self._topic, body, qos=1, properties=properties)
        except ValueError as error:
            raise DeliveryError("too long for MQTT") from error
        if sent.rc != MQTT_ERR_SUCCESS:
            raise DeliveryError(f"MQTT {sent.rc.name}")
        answer = self._waiting[sent.mid] = self._loop.create_future()
        self._write()
        try:
            reason = await answer
        finally:
            self._waiting.pop(sent.mid, None)
        if reason.value >= _FAILURE:
            raise DeliveryError(f"refused: {reason}")

    async def close(self) -> None:
        """Say goodbye, as far as the socket takes it."""
        self._client.disconnect()
        self.abort()

    def abort(self) -> None:
        """Close the socket with all that waits for it."""
        self._ended("connection lost")
        _hang_up(self._client)

    def _read(self) -> None:
        while not self._over:
            if self._client.loop_read() != 0:
                return
            socket: Any = self._client.socket()
            # Decrypted bytes that are left show on no descriptor.
            if not getattr(socket, "pending", int)():
                break
        self._write()

    def _write(self) -> None:
        """Write what waits, now and whenever the socket takes more."""
        if self.alive and self._client.want_write():
            self._client.loop_write()
        descriptor = self._descriptor
        if descriptor is None:
            return
        if self._client.want_write():
            self._loop.add_writer(descriptor, self._write)
        else:
            self._loop.remove_writer(descriptor)

    async def _tick(self) -> None:
        while not self._over and self._client.loop_misc() == 0:
            self._write()
            await asyncio.sleep(_TICK)

    def _on_connect(self, _c: object, _u: object, _f: object, reason: Any, _p: object) -> None:
        if self._accepted.done():
            return
        if reason.value >= _FAILURE:
            self._accepted.set_exception(DeliveryError(f"refused: {reason}"))
        else:
            self._accepted.set_result(None)

    def _on_publish(self, _c: object, _u: object, mid: int, reason: Any, _p: object) -> None:
        answer = self._waiting.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason)

    def _on_disconnect(self, _c: object, _u: object, _f: object, reason: Any, _p: object) -> None:
        self._ended(f"disconnected: {reason}")

    def _on_socket_close(self, _c: object, _u: object, _s: object) -> None:
        self._deaf()

    def _ended(self, why: str) -> None:
        self._over = True
        self._deaf()
        if self._ticking is not None and self._ticking is not asyncio.current_task():
            self._ticking.cancel()
        waiting: list[asyncio.Future[Any]] = [self._accepted, *self._waiting.values()]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(DeliveryError(why))
                # Nobody need be waiting.
                answer.exception()

    def _deaf(self) -> None:
        """Take the descriptor out of the event loop before somebody else gets its number."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)


def _hang_up(client: Client) -> None:
    socket = client.socket()
    if socket is not None:
        socket.close()
