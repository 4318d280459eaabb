"""The HTTP connections of one port: how many there may be, and who gives way."""

import asyncio
import resource
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.runtime.refusals import refused

HEAD_SECONDS = 10.0
"""For the head of the first request, and of each that follows on a connection."""
READ_SECONDS = 30.0
"""Within which a client must take some of an answer that it is sent."""
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_OTHERS = 64
"""Connections beside one for each call: consoles, scrapes, requests."""


class Room:
    """Bounds connections, WebSockets among them; who asks for nothing gives way to who comes."""

    def __init__(self, most: int, each: int) -> None:
        """`most` in all, `each` of one address."""
        self.most = most
        self.each = each
        self._idle: dict[PatientHttp, None] = {}
        """What waits for a request's head, the longest first."""

    @classmethod
    def beside(cls, calls: int, most: int = 0) -> "Room":
        """Room beside that many calls; `most` 0 takes half of the process's descriptors.

        Calls, files and the delivery of alerts have the others. One address has at most half, but
        never less than its calls need: all may come from one platform or proxy.
        """
        least = calls + _OTHERS
        most = most or max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, least)
        return cls(most, max(most // 2, least))

    def waits(self, connection: "PatientHttp", waiting: bool) -> None:
        """Note whether a connection asks for nothing just now."""
        if waiting:
            self._idle.setdefault(connection)
        else:
            self._idle.pop(connection, None)

    def admit(self, newcomer: "PatientHttp", connections: Collection[Any]) -> bool:
        """Whether a new one, already among the `connections`, may stay; others may give way.

        The connections are uvicorn's protocols, of HTTP and of WebSockets.
        """
        full, host = len(connections) > self.most, _host(newcomer)
        if not full and (
            len(connections) <= self.each or sum(_host(c) == host for c in connections) <= self.each
        ):
            return True
        for idle in self._idle:
            if full or _host(idle) == host:
                idle.give_way()
                return True
        return False


def _host(connection: Any) -> str:
    return str(connection.client[0]) if connection.client is not None else ""


class PatientHttp(H11Protocol):
    """Uvicorn's own protocol, which waits for ever for a request that is never sent or finished,
    and for a client that never reads.
    """

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS
    room = Room.beside(0)
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, if there is room."""
        super().connection_made(transport)
        if self.room.admit(self, self.connections):
            self._watch()
            return
        refused("connections", peer=_host(self))
        transport.write(_FULL)
        transport.close()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request; not every part completes its head."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for the client, which has let an answer pile up."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self._unheard)

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        self._read()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """End at once, for a new connection."""
        self._stop()
        self.connections.discard(self)
        refused("idle_connections", peer=_host(self))
        self.transport.abort()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self._give_up)
            self.room.waits(self, True)

    def _stop(self) -> None:
        self.room.waits(self, False)
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        # A connection that has become a WebSocket has another protocol by now.
        self.room.waits(self, False)
        if self.transport.get_protocol() is self:
            self.transport.close()

    def _unheard(self) -> None:
        refused("unread", peer=_host(self))
        self.transport.abort()


def bounded(room: Room) -> Any:
    """The protocol of a port with this room, as uvicorn takes it: a class."""
    return type("BoundedHttp", (PatientHttp,), {"room": room})
