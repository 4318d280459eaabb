"""The TCP port that Asterisk's AudioSocket connects to. The protocol knows no authentication."""

import asyncio
import ipaddress
from collections.abc import Sequence

from monitor import log
from monitor.calls.admission import CapacityError
from monitor.ingest.audiosocket import HEADER, AudioSocketParser, length
from monitor.ingest.rtpport import within
from monitor.web.stream import Streams

_log = log.get(__name__)


class AudioSocketServer:
    """Listens; each connection is one call."""

    def __init__(self, streams: Streams, host: str, port: int, peers: Sequence[str]) -> None:
        """`peers` are networks that may connect; raises ValueError for what is none."""
        self._streams = streams
        self._host = host
        self._port = port
        self._peers = [ipaddress.ip_network(peer) for peer in peers]
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen, and return the port; raises OSError."""
        self._server = await asyncio.start_server(self._connected, self._host, self._port)
        port: int = self._server.sockets[0].getsockname()[1]
        _log.info("audiosocket listening", host=self._host, port=port)
        return port

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
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            # Only `close` cancels; the streams library would report it as an error.
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        if not any(within(peer, network) for network in self._peers):
            _log.warning("audiosocket refused", field="telephony.audiosocket.peers", peer=peer)
            return

        async def receive() -> bytes | None:
            try:
                header = await reader.readexactly(HEADER)
                return header + await reader.readexactly(length(header))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

        async def send(text: str) -> None:
            """Nothing is ever sent to a channel that is only monitored."""

        try:
            with self._streams.open("audiosocket", AudioSocketParser()) as stream:
                await stream.run(receive, send)
        except CapacityError as error:
            _log.warning("audiosocket refused", field="limits.calls", detail=str(error))
