"""A TCP port for known addresses; each connection is served by a task of its own."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from monitor.ingest.connection.networks import Networks, within
from monitor.runtime import failures, log
from monitor.runtime.refusals import refused

_log = log.get(__name__)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Speaks with one connection until it ends; gets the address of the other end, too."""
HANDSHAKE_SECONDS = 10.0
IDLE, INTERVAL, PROBES = 20, 10, 3
"""Seconds of silence before the other end's TCP is asked whether it is there, between further
questions, and how many of them may stay without an answer."""
MOST = 2000
"""Connections at once, unless said otherwise; of one address a half."""
_LIMIT = 64 * 1024
"""Bytes that wait for their reader, unless said otherwise; asyncio's own."""


class TcpListener:
    """TCP, or TLS with a context."""

    def __init__(
        self,
        serve: Serve,
        peers: Networks,
        name: str,
        field: str,
        context: ssl.SSLContext | None = None,
        most: int = MOST,
    ) -> None:
        """`peers` may connect, `most` of them at once; the log calls a refusal "`name` refused".

        `field` is the setting that holds the peers.
        """
        self._serve = serve
        self._peers = peers
        self._name, self._field = name, field
        self._context = context
        self._most = most
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._held: Counter[str] = Counter()
        """Connections that are served, by address."""

    async def start(self, host: str, port: int, limit: int = _LIMIT) -> int:
        """Listen, and return the port; `limit`: bytes that `readuntil` takes. Raises OSError."""
        patience = HANDSHAKE_SECONDS if self._context is not None else None
        self._server = await asyncio.start_server(
            self._connected, host, port, limit=limit,
            ssl=self._context, ssl_handshake_timeout=patience,
        )  # fmt: skip
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and drop what is connected."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        address = writer.get_extra_info("peername")[0]
        keep_alive(writer.get_extra_info("socket"))
        try:
            if not any(within(address, network) for network in self._peers):
                _log.warning(f"{self._name} refused", field=self._field, peer=address)
            elif len(self._connections) > self._most:
                refused("connections", peer=address, port=self._name)
            elif self._held[address] >= self._most // 2:
                refused("connections_of_one", peer=address, port=self._name)
            else:
                self._held[address] += 1
                try:
                    await self._serve(reader, writer, address)
                finally:
                    self._held[address] -= 1
        except asyncio.CancelledError:
            # Only `close` cancels; the streams library would report it as an error.
            pass
        except Exception as error:  # noqa: BLE001
            # One connection ends by it, and no other.
            failures.heard("connection", error)
        finally:
            self._connections.discard(task)
            # The loop may be closed.
            with suppress(RuntimeError):
                writer.close()


def keep_alive(sock: socket.socket) -> None:
    """Find an end that is gone by asking it: one that is silent may be on hold."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", IDLE),
        ("TCP_KEEPINTVL", INTERVAL),
        ("TCP_KEEPCNT", PROBES),
    ):
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
